// What is printed of worlds.
import type { Fault } from "./faults.ts";
import type { Ran } from "./pool.ts";
import { leastPerHour } from "./simulate.ts";
import type { Figures } from "./simulate.ts";

const shownViolations = 10;
const shownLines = 40;
/** Cluster-hours on two cores. */
const goalAMinute = 100;

/** Whether these hours had so many faults and changes that they count. */
export function counting({ hours, counted, faults, asked }: Figures): string {
  const each = `${(faults / hours).toFixed(0)} faults and ${(asked / hours).toFixed(0)} changes an hour`;
  return `counted: ${counted.toFixed(1)} of ${hours.toFixed(1)} hours (${each}, at least ${leastPerHour.faults} and ${leastPerHour.asked})`;
}

/** What a second of one core ran; of cluster-hours those that count. */
export function speed({ counted, faults, decisions }: Figures, cpuSeconds: number): string {
  const [faultsEach, decisionsEach, hoursEach] = [faults, decisions, counted].map((sum) => sum / cpuSeconds) as [
    number,
    number,
    number,
  ];
  return (
    `per CPU-second: ${faultsEach.toFixed(2)} faults, ${decisionsEach.toFixed(1)} decisions, ${hoursEach.toFixed(4)} cluster-hours ` +
    `(${cpuSeconds.toFixed(0)} s of CPU; two cores ${(hoursEach * 120).toFixed(1)} cluster-hours a minute, the goal is ${goalAMinute})`
  );
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(3)} s`;

const scriptLine = ({ at, forMs, kind, whom, strength }: Fault): string =>
  `${seconds(at)}: ${[kind, ...whom].join(" ")}, for ${forMs} ms, strength ${strength}`;

/** One world, line by line: its figures, and where it failed what it violated, the faults that are enough for it, and what happened last. */
export function reportOf(ran: Ran): string[] {
  const { seed, digest, violations, figures, cpuSeconds } = ran;
  const lines = [
    `seed ${seed}: ${violations.length} violations, digest ${digest}, ${cpuSeconds.toFixed(1)} s of CPU, ${JSON.stringify(figures)}`,
    `  ${counting(figures)}`,
  ];
  for (const { at, invariant, message } of violations.slice(0, shownViolations)) {
    lines.push(`  ${seconds(at)}, invariant ${invariant}: ${message}`);
  }
  const least = ran.shrunk ?? ran;
  const [first] = least.violations;
  if (first === undefined) return lines;
  lines.push(`  of ${ran.faults.length} faults ${least.faults.length} are enough:`);
  lines.push(...least.faults.map((fault) => `    ${scriptLine(fault)}`));
  lines.push(`  with these, at ${seconds(first.at)}, invariant ${first.invariant}: ${first.message}`);
  lines.push("  what happened last:");
  const before = least.trace.filter((line) => Number(line.split(" ")[0]) <= first.at);
  lines.push(...before.slice(-shownLines).map((line) => `    ${line}`));
  return lines;
}
