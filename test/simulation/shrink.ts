// Makes a failing world simpler: faults are left out of its script, many at once and then fewer, as long as it fails the same way.
import type { Fault } from "./faults.ts";
import { simulate } from "./simulate.ts";
import type { Outcome, Plan } from "./simulate.ts";

/** Worlds that are run for it at most. */
const mostTries = 60;

/** The simplest world found that still violates the invariant that `failed` violated first. */
export async function shrink(plan: Plan, failed: Outcome): Promise<Outcome> {
  let best = failed;
  const left = { tries: mostTries };
  /** True when it fails without these faults, too. */
  const without = async (out: ReadonlySet<Fault>): Promise<boolean> => {
    left.tries -= 1;
    const faults = best.faults.filter((fault) => !out.has(fault));
    const outcome = await simulate({ ...plan, faults, stopsAtFirst: true });
    const isSame = outcome.violations[0]?.invariant === failed.violations[0]?.invariant;
    if (isSame) best = outcome;
    return isSame;
  };
  const first = failed.violations[0]?.at ?? Infinity;
  await without(new Set(failed.faults.filter(({ at }) => at > first)));
  for (let size = Math.ceil(best.faults.length / 2); size >= 1 && left.tries > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.faults.length && left.tries > 0;) {
      const isLess = await without(new Set(best.faults.slice(at, at + size)));
      if (!isLess) at += size;
    }
  }
  return best;
}
