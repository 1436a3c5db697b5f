// `npm run sim`: simulated clusters from seeds, as many at a time as there are cores, and what came of them. Nothing of a
// world outlives it, so that one of many can be run again alone, with its trace.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bugs, withBug } from "./bugs.ts";
import { Pool, ran, serve } from "./pool.ts";
import type { Ran } from "./pool.ts";
import { counting, reportOf } from "./report.ts";
import type { Figures, Plan } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    /** Worlds. */
    seeds: { type: "string", default: "1" },
    /** Instead: as many as this time allows for. */
    seconds: { type: "string" },
    /** Virtual minutes under faults, of each. */
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    /** The share of the usual faults and drills; with 0.5 and more every hour has enough of them to count. */
    density: { type: "string", default: "1" },
    unsynced: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    /** Where a seed fails, as few of its faults as make it fail are looked for during so many seconds. */
    shrink: { type: "string", default: "60" },
    /** Ends a world with its first violation. */
    first: { type: "boolean", default: false },
    /** Runs with one of the deliberate bugs, by name; `all` looks for each within `seeds` worlds. */
    bug: { type: "string" },
    /** Runs what the process that started it asks for. */
    serve: { type: "boolean", default: false },
  },
});

const build = join(import.meta.dirname, "../..");
const shrinkMs = Number(values.shrink) * 1000;

// A reader that has seen enough (`npm run sim … | head`) ends the run.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(1);
});
const out = (line: string): void => void process.stdout.write(`${line}\n`);

const plan: Plan = {
  seed: values.seed,
  minutes: Number(values.minutes),
  synced: !values.unsynced,
  density: Number(values.density),
  stopsAtFirst: values.first,
  traceLines: 4000,
};

/** Runs one seed here. */
async function here(): Promise<void> {
  const outcome = await ran({ ...plan, ...(values.trace ? { onLine: out } : {}) }, shrinkMs);
  reportOf(outcome).forEach(out);
  process.exitCode = outcome.violations.length > 0 ? 1 : 0;
}

/** Seeds in turn, on every core; ends early when `onRan` says that it is enough. A world that does not end is none. */
async function many(folder: string, count: number, wanted: Plan, onRan: (outcome: Ran) => boolean): Promise<number> {
  let begun = 0;
  let lost = 0;
  const pool = new Pool(join(folder, "test/simulation/main.js"), count, values.bug === undefined ? shrinkMs : 0);
  await pool.run(
    () => ({ ...wanted, seed: count === 1 ? values.seed : `${values.seed}-${(begun += 1)}` }),
    (seed, outcome) => {
      if (typeof outcome !== "string") return onRan(outcome);
      lost += 1;
      out(`seed ${seed} did not end: ${outcome}`);
      return false;
    },
  );
  return lost;
}

async function search(name: string): Promise<void> {
  const bug = bugs.find((one) => one.name === name);
  if (bug === undefined) throw new Error(`no bug is named ${name}: ${bugs.map((one) => one.name).join(", ")}`);
  const folder = withBug(build, join(build, "../node_modules"), bug);
  let hours = 0;
  let found: Ran | undefined;
  const onRan = (outcome: Ran): boolean => {
    hours += outcome.figures.hours;
    if (outcome.violations.length > 0) found ??= outcome;
    return found !== undefined;
  };
  await many(folder, Number(values.seeds), { ...plan, stopsAtFirst: true }, onRan);
  rmSync(folder, { recursive: true });
  const first = found?.violations[0];
  if (first === undefined) process.exitCode = 1;
  out(
    first === undefined
      ? `NOT FOUND in ${hours.toFixed(2)} h: ${name}`
      : `found after ${hours.toFixed(2)} h: ${name}: invariant ${first.invariant}: ${first.message}`,
  );
}

async function survey(): Promise<void> {
  const until = values.seconds === undefined ? Infinity : performance.now() + Number(values.seconds) * 1000;
  const most = values.seconds === undefined ? Number(values.seeds) : Infinity;
  const sum: Record<keyof Figures, number> = {
    hours: 0,
    counted: 0,
    faults: 0,
    asked: 0,
    acknowledged: 0,
    records: 0,
    terms: 0,
    steps: 0,
    answered: 0,
    failed: 0,
  };
  let cpuSeconds = 0;
  let bad = 0;
  let worlds = 0;
  const lost = await many(build, most, plan, (outcome) => {
    worlds += 1;
    for (const key of Object.keys(sum) as (keyof Figures)[]) sum[key] += outcome.figures[key];
    cpuSeconds += outcome.cpuSeconds;
    if (outcome.violations.length > 0) bad += 1;
    if (outcome.violations.length > 0 || values.trace) reportOf(outcome).forEach(out);
    else if (outcome.figures.counted < outcome.figures.hours - 1e-9)
      out(`seed ${outcome.seed}: ${counting(outcome.figures)}`);
    return performance.now() > until;
  });
  out(`${worlds} worlds, ${bad} with violations: ${JSON.stringify(sum)}`);
  out(
    `${sum.hours.toFixed(1)} cluster-hours in ${cpuSeconds.toFixed(0)} s of CPU, ` +
      `${(cpuSeconds / sum.hours).toFixed(1)} s each; ${counting(sum)}`,
  );
  process.exitCode = bad + lost > 0 ? 1 : 0;
}

const isOne = values.seeds === "1" && values.seconds === undefined && values.bug === undefined;
if (values.serve) serve();
else if (isOne) await here();
else if (values.bug === "all") for (const { name } of bugs) await search(name);
else if (values.bug !== undefined) await search(values.bug);
else await survey();
