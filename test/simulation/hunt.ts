// Hunts for deliberate bugs: worlds with one of them are run until one violates what that bug has to violate, or the budget
// of cluster time is used up.
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Bug } from "./bugs.ts";
import { withBug } from "./bugs.ts";
import { Pool } from "./pool.ts";
import type { Ran } from "./pool.ts";
import type { Plan } from "./simulate.ts";

export interface Hunted {
  readonly bug: Bug;
  /** The first world in which it was found. */
  readonly found: Ran | undefined;
  /** Cluster time until then, of all worlds, hours. */
  readonly hours: number;
  /** What else worlds violated first, or why they did not end; none of it counts. */
  readonly others: readonly string[];
}

/** Worlds as `plan` says, of seeds `<seed>-1` and on, each until its first violation. `build`: the folder of the compiled program. */
export async function hunt(build: string, bug: Bug, plan: Plan): Promise<Hunted> {
  const folder = withBug(build, join(build, "../node_modules"), bug);
  const others: string[] = [];
  let begun = 0;
  let hours = 0;
  let found: Ran | undefined;
  const pool = new Pool(join(folder, "test/simulation/main.js"), Infinity, 0);
  await pool.run(
    () => ({
      ...plan,
      seed: `${plan.seed}-${(begun += 1)}`,
      synced: plan.synced && bug.unsynced !== true,
      stopsAtFirst: true,
    }),
    (seed, ran) => {
      if (found !== undefined) return true;
      hours += typeof ran === "string" ? plan.minutes / 60 : ran.figures.hours;
      const [first] = typeof ran === "string" ? [] : ran.violations;
      if (typeof ran === "string") others.push(`${seed} did not end: ${ran}`);
      else if (first !== undefined && bug.invariants.includes(first.invariant)) found = ran;
      else if (first !== undefined) others.push(`${seed}: invariant ${first.invariant}: ${first.message}`);
      return found !== undefined || hours >= bug.hours;
    },
  );
  rmSync(folder, { recursive: true });
  return { bug, found, hours, others };
}

const columns = (bug: string, invariant: string, hours: string, budget: string, seed: string): string =>
  `${bug.padEnd(52)}  ${invariant.padEnd(10)}  ${hours.padStart(9)}  ${budget.padStart(6)}  ${seed}`.trimEnd();

export const huntedHead = columns("bug", "invariant", "hours", "budget", "seed");

/** A row of a table, below `huntedHead`. */
export function huntedRow({ bug, found, hours }: Hunted): string {
  const invariant = found?.violations[0]?.invariant ?? "NOT FOUND";
  return columns(bug.name, invariant, hours.toFixed(2), String(bug.hours), found?.seed ?? "");
}
