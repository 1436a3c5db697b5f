// `npm run sim`: simulated clusters from seeds, as many at a time as there are cores, and what came of them. Nothing of a
// world outlives it, so that one of many can be run again alone, with its trace.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bugs } from "./bugs.ts";
import type { Bug } from "./bugs.ts";
import { hunt, huntedHead, huntedRow } from "./hunt.ts";
import { Pool, ran, serve } from "./pool.ts";
import type { Ran } from "./pool.ts";
import { programOf } from "./program.ts";
import { counting, reportOf, speed } from "./report.ts";
import type { Figures, Plan } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    /** Worlds. */
    seeds: { type: "string", default: "1" },
    /** Instead: as many as this time allows for. */
    seconds: { type: "string" },
    /** Virtual minutes under faults, of each; 60, and 12 where bugs are hunted for. */
    minutes: { type: "string" },
    seed: { type: "string", default: "1" },
    /** The share of the usual faults and drills; with 0.5 and more every hour has enough of them to count. */
    density: { type: "string", default: "1" },
    unsynced: { type: "boolean", default: false },
    /** Of the bus, 1 or 3; else as chance has it. */
    servers: { type: "string" },
    trace: { type: "boolean", default: false },
    /** Where a seed fails, as few of its faults as make it fail are looked for during so many seconds. */
    shrink: { type: "string", default: "60" },
    /** Ends a world with its first violation. */
    first: { type: "boolean", default: false },
    /** Hunts for one of the deliberate bugs, by name, or for `all`, each within its budget. */
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
  minutes: Number(values.minutes ?? (values.bug === undefined ? 60 : 12)),
  synced: !values.unsynced,
  servers: values.servers === undefined ? undefined : values.servers === "3" ? 3 : 1,
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
async function many(count: number, onRan: (outcome: Ran) => boolean): Promise<number> {
  let begun = 0;
  let lost = 0;
  const pool = new Pool(join(build, "test/simulation/main.js"), count, shrinkMs);
  await pool.run(
    () => ({ ...plan, seed: count === 1 ? values.seed : `${values.seed}-${(begun += 1)}` }),
    (seed, outcome) => {
      if (typeof outcome !== "string") return onRan(outcome);
      lost += 1;
      out(`seed ${seed} did not end: ${outcome}`);
      return false;
    },
  );
  return lost;
}

/** The same one after another, each told line by line. */
async function traced(count: number, onRan: (outcome: Ran) => boolean): Promise<number> {
  for (let begun = 1; begun <= count; begun++) {
    if (onRan(await ran({ ...plan, seed: `${values.seed}-${begun}`, onLine: out }, shrinkMs))) break;
  }
  return 0;
}

async function search(wanted: readonly Bug[]): Promise<void> {
  out(huntedHead);
  for (const bug of wanted) {
    const hunted = await hunt(build, bug, plan);
    out(huntedRow(hunted));
    const first = hunted.found?.violations[0];
    if (wanted.length === 1 && first !== undefined) out(`  invariant ${first.invariant}: ${first.message}`);
    for (const other of hunted.others) out(`  not counted: ${other}`);
    if (hunted.found === undefined) process.exitCode = 1;
  }
}

function named(name: string): readonly Bug[] {
  const found = bugs.filter((bug) => name === "all" || bug.name === name);
  if (found.length > 0) return found;
  const names = bugs.map((bug) => `  ${bug.name}\n`);
  process.stderr.write(`no bug is named ${name}; there are all, and\n${names.join("")}`);
  process.exit(2);
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
    decisions: 0,
    terms: 0,
    steps: 0,
    answered: 0,
    failed: 0,
  };
  let cpuSeconds = 0;
  let bad = 0;
  let worlds = 0;
  const lost = await (values.trace ? traced : many)(most, (outcome) => {
    worlds += 1;
    for (const key of Object.keys(sum) as (keyof Figures)[]) sum[key] += outcome.figures[key];
    cpuSeconds += outcome.cpuSeconds;
    if (outcome.violations.length > 0) bad += 1;
    if (outcome.violations.length > 0 || values.trace) reportOf(outcome).forEach(out);
    else if (outcome.figures.counted < outcome.figures.hours - 1e-9)
      out(`seed ${outcome.seed}: ${counting(outcome.figures)}`);
    return performance.now() > until;
  });
  const { program, product } = programOf(build, join(build, "test/simulation/simulate.js"));
  out(`program ${program}, product ${product}`);
  out(`${worlds} worlds, ${bad} with violations: ${JSON.stringify(sum)}`);
  out(speed(sum, cpuSeconds));
  out(counting(sum));
  process.exitCode = bad + lost > 0 ? 1 : 0;
}

const isOne = values.seeds === "1" && values.seconds === undefined && values.bug === undefined;
if (values.serve) serve();
else if (isOne) await here();
else if (values.bug !== undefined) await search(named(values.bug));
else await survey();
