// When snapshots are made, and how much of the log stays. Its own file, since the ports name it.
import { limits } from "../../bus/limits.ts";

/** When snapshots are made and what is kept of the log. */
export interface SnapshotPolicy {
  readonly events: number;
  readonly bytes: number;
  /** Newest events that stay in the log. */
  readonly kept: number;
  /** After a failure. */
  readonly retryMs: number;
  /** The next one is due so long after the newest was first seen to be good: by then that is on disk also where not each write is synced. */
  readonly apartMs: number;
  /** Those that are there are read through this often. */
  readonly checkMs: number;
}

export const snapshotPolicy: SnapshotPolicy = {
  events: limits.snapshotEvents,
  bytes: limits.snapshotBytes,
  kept: limits.eventsKept,
  retryMs: 30_000,
  // Servers sync every two minutes where nothing else is set.
  apartMs: 130_000,
  checkMs: 600_000,
};
