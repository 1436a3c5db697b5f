// Makes a failing world simpler: faults are left out of its script, many at once and then fewer, as long as it fails the same way.
import type { Fault } from "./faults.ts";
import { simulate } from "./simulate.ts";
import type { Outcome, Plan } from "./simulate.ts";

/**
 * The simplest world found within `ms` milliseconds of the machine's time that still violates first what `failed` violated
 * first. With time enough none of its faults can be left out alone.
 */
export async function shrink(plan: Plan, failed: Outcome, ms: number): Promise<Outcome> {
  const until = performance.now() + ms;
  const [first] = failed.violations;
  let best = failed;
  /** True when it fails without these faults, too. */
  const without = async (out: ReadonlySet<Fault>): Promise<boolean> => {
    const faults = best.faults.filter((fault) => !out.has(fault));
    const outcome = await simulate({ ...plan, faults, stopsAtFirst: true });
    const isSame = outcome.violations[0]?.invariant === first?.invariant;
    if (isSame) best = outcome;
    return isSame;
  };
  if (first === undefined) return failed;
  await without(new Set(failed.faults.filter(({ at }) => at > first.at)));
  for (let size = Math.ceil(best.faults.length / 2); size >= 1;) {
    const { length } = best.faults;
    for (let at = 0; at < best.faults.length;) {
      if (performance.now() > until) return best;
      const isLess = await without(new Set(best.faults.slice(at, at + size)));
      if (!isLess) at += size;
    }
    // What was needed beside others may be needless without them.
    if (size === 1 && best.faults.length === length) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return best;
}
