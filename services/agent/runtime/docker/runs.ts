// A container that is started again writes on into the same log. The engine keeps only the times of its newest run, so
// where one run ends and the next begins in the log is worked out from those times, and remembered from start to start.
import { timeOf } from "./inspect.ts";
import type { Inspected } from "./inspect.ts";

/** The part of a log that one run wrote, milliseconds since 1970 by the engine's clock; from null = from the beginning. */
export interface RunWindow {
  readonly from: number | null;
  readonly until: number;
  /** False when it is only supposed that there was such a run. */
  readonly sure: boolean;
}

/** A run's first line may bear a time shortly before the start the engine tells. */
const startSlackMs = 50;

/** Runs of containers that this driver started again: id → the moments between their runs, the newest two. */
export class RunTimes {
  private readonly cuts = new Map<string, readonly number[]>();

  /**
   * To be told of each start. `before` is what the engine said just before it; `wholeSeconds` of an engine (Podman) whose
   * lines bear the second they were written in: runs less than that apart cannot be told from each other.
   */
  started(id: string, before: Inspected, after: Inspected, wholeSeconds = false): void {
    const ended = timeOf(before.State.FinishedAt);
    const began = timeOf(after.State.StartedAt);
    if (began === null) return;
    // The first run of all has none before it. Podman tells its start so late that its first lines would seem older.
    if (ended === null) this.cuts.set(id, []);
    else {
      const cut = wholeSeconds ? secondOf(began) : middle(ended, began);
      this.cuts.set(id, [...(this.cuts.get(id) ?? []), cut].slice(-2));
    }
  }

  forget(id: string): void {
    this.cuts.delete(id);
  }

  /** What the run before the newest one wrote; null when there was none as far as is known. */
  previous(found: Inspected): RunWindow | null {
    const known = this.cuts.get(found.Id);
    if (known?.length === 0) return null;
    const last = known?.at(-1);
    if (known !== undefined && last !== undefined)
      return { from: known.length > 1 ? (known[0] ?? null) : null, until: last, sure: true };
    // Started by an earlier agent: where the run before the previous one ended is not known any more.
    const began = timeOf(found.State.StartedAt);
    const ended = timeOf(found.State.FinishedAt);
    if (began === null || ended === null) return null;
    // While it runs, the end that is told is that of the run before; else it is that of the newest run.
    const before = ended < began;
    return { from: null, until: before ? middle(ended, began) : began - startSlackMs, sure: before };
  }
}

/** The beginning of the second. */
export const secondOf = (time: number): number => Math.floor(time / 1000) * 1000;

/** The log of a run is complete when its end is told, and a start takes a while: half-way lies between both. */
const middle = (ended: number, began: number): number => Math.max(ended, Math.floor((ended + began) / 2));
