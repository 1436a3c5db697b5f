// `npm run sim`: simulated clusters from seeds, as many at a time as there are cores, and what came of them. Every seed runs
// in a process of its own, so that one can be run again alone, with its trace.
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bugs, withBug } from "./bugs.ts";
import { shrink } from "./shrink.ts";
import type { Figures, Outcome, Plan } from "./simulate.ts";
import { simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    /** Worlds. */
    seeds: { type: "string", default: "1" },
    /** Instead: as many as this time allows for. */
    seconds: { type: "string" },
    /** Virtual minutes under faults, of each. */
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    unsynced: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    /** Looks, when the seed fails, for as few of its faults as make it fail. */
    shrink: { type: "boolean", default: false },
    /** Ends a world with its first violation. */
    first: { type: "boolean", default: false },
    /** Runs with one of the deliberate bugs, by name; `all` looks for each within `seeds` worlds. */
    bug: { type: "string" },
    /** Prints the outcome as JSON, for the process that asked. */
    json: { type: "boolean", default: false },
  },
});

const build = join(import.meta.dirname, "../..");
const shownViolations = 10;
const shownLines = 40;
/** A run takes seconds; one that takes longer than this does not end. */
const runMs = 900_000;

const out = (line: string): void => void process.stdout.write(`${line}\n`);

interface Ran extends Outcome {
  readonly cpuSeconds: number;
}

/** Runs one seed here. */
async function here(): Promise<void> {
  const plan: Plan = {
    seed: values.seed,
    minutes: Number(values.minutes),
    synced: !values.unsynced,
    stopsAtFirst: values.first,
    traceLines: 4000,
  };
  const whole = await simulate({ ...plan, ...(values.trace ? { onLine: out } : {}) });
  const isShrunk = values.shrink && whole.violations.length > 0;
  const outcome = isShrunk ? await shrink(plan, whole) : whole;
  if (isShrunk) out(`of ${whole.faults.length} faults ${outcome.faults.length} are enough`);
  const { user, system } = process.cpuUsage();
  const ran: Ran = { ...outcome, cpuSeconds: (user + system) / 1e6 };
  if (values.json) out(JSON.stringify(ran));
  else report(ran);
  process.exitCode = ran.violations.length > 0 ? 1 : 0;
}

/** Runs one seed in a process of its own. */
function elsewhere(folder: string, seed: string, isFirstEnough = false): Promise<Ran> {
  const words = ["--json", "--seed", seed, "--minutes", values.minutes];
  if (values.unsynced) words.push("--unsynced");
  if (isFirstEnough) words.push("--first");
  const options = { maxBuffer: 256 * 1024 * 1024, timeout: runMs };
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [join(folder, "test/simulation/main.js"), ...words],
      options,
      (error, stdout, stderr) => {
        const line = stdout.trim().split("\n").at(-1) ?? "";
        if (line.startsWith("{")) resolve(JSON.parse(line) as Ran);
        else reject(new Error(`seed ${seed} did not end: ${stderr.slice(-2000)}`, { cause: error }));
      },
    );
  });
}

function report({ seed, digest, violations, faults, trace, figures, cpuSeconds }: Ran): void {
  out(
    `seed ${seed}: ${violations.length} violations, digest ${digest}, ${cpuSeconds.toFixed(1)} s of CPU, ${JSON.stringify(figures)}`,
  );
  if (violations.length === 0) return;
  for (const { at, invariant, message } of violations.slice(0, shownViolations)) {
    out(`  ${(at / 1000).toFixed(3)} s, invariant ${invariant}: ${message}`);
  }
  const first = violations[0]?.at ?? 0;
  out("  faults before it:");
  for (const { at, forMs, kind, whom } of faults.filter((fault) => fault.at <= first).slice(-shownViolations)) {
    out(`    ${(at / 1000).toFixed(3)} s, for ${forMs} ms: ${kind} ${whom.join(" ")}`);
  }
  out("  what happened then:");
  for (const line of trace.filter((text) => Number(text.split(" ")[0]) <= first).slice(-shownLines)) out(`    ${line}`);
}

/** Seeds in turn, on every core; ends early when `isEnough` says so. */
async function many(folder: string, count: number, onRan: (ran: Ran) => boolean, isFirstEnough = false): Promise<void> {
  let next = 0;
  let isEnough = false;
  const worker = async (): Promise<void> => {
    while (next < count && !isEnough) {
      const seed = count === 1 ? values.seed : `${values.seed}-${(next += 1)}`;
      if (count === 1) next = 1;
      isEnough = onRan(await elsewhere(folder, seed, isFirstEnough)) || isEnough;
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, availableParallelism()) }, worker));
}

async function search(name: string): Promise<void> {
  const bug = bugs.find((one) => one.name === name);
  if (bug === undefined) throw new Error(`no bug is named ${name}: ${bugs.map((one) => one.name).join(", ")}`);
  const folder = withBug(build, join(build, "../node_modules"), bug);
  let hours = 0;
  let found: Ran | undefined;
  const onRan = (ran: Ran): boolean => {
    hours += ran.figures.hours;
    if (ran.violations.length > 0) found ??= ran;
    return found !== undefined;
  };
  await many(folder, Number(values.seeds), onRan, true);
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
  await many(build, most, (ran) => {
    worlds += 1;
    for (const key of Object.keys(sum) as (keyof Figures)[]) sum[key] += ran.figures[key];
    cpuSeconds += ran.cpuSeconds;
    if (ran.violations.length > 0) bad += 1;
    if (ran.violations.length > 0 || values.trace) report(ran);
    return performance.now() > until;
  });
  out(`${worlds} worlds, ${bad} with violations: ${JSON.stringify(sum)}`);
  out(`${sum.hours.toFixed(1)} cluster-hours in ${cpuSeconds.toFixed(0)} s of CPU`);
  process.exitCode = bad > 0 ? 1 : 0;
}

const isOne = values.seeds === "1" && values.seconds === undefined && values.bug === undefined;
if (values.json || isOne) await here();
else if (values.bug === "all") for (const { name } of bugs) await search(name);
else if (values.bug !== undefined) await search(values.bug);
else await survey();
