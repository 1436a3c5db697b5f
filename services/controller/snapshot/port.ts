// Who makes snapshots for the leader, beside its loop. `thread/` gives the real one; a simulation and tests do the work
// of `work.ts` where they are.
import type { Code } from "../../kernel/errors.ts";

/** A snapshot that was read in whole and belongs to the log. */
export interface Verified {
  readonly id: string;
  /** Last sequence folded in, and that of the last event among it. */
  readonly sequence: number;
  readonly accepted: number;
  /** When it was made, milliseconds since 1970. */
  readonly time: number;
}

export interface Problem {
  readonly code: Code;
  readonly message: string;
}

export interface SnapshotReport {
  /** Newest first, two at most. */
  readonly verified: readonly Verified[];
  readonly problems: readonly Problem[];
}

export interface SnapshotOrder {
  /** Up to where the log is folded in. */
  readonly sequence: number;
  /** Leaning on as few other snapshots as can be. */
  readonly afresh: boolean;
  /** The state itself, as lines, when nothing on the bus tells it any more; else null. */
  readonly lines: readonly string[] | null;
}

/** One job at a time is asked of it. Both reject with coded errors. */
export interface Snapshotter {
  /** Reads the snapshots that are there. */
  check(): Promise<SnapshotReport>;
  make(order: SnapshotOrder): Promise<SnapshotReport>;
}
