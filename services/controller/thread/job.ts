// What goes into the thread and what comes out of it.
import type { SnapshotOrder, SnapshotReport } from "../snapshot/port.ts";

export interface Job {
  readonly server: string;
  readonly creds: string | null;
  readonly cluster: string;
  /** Of the controller it works for. */
  readonly id: string;
  /** Null: only look at what is there. */
  readonly order: SnapshotOrder | null;
}

export type Outcome = { readonly report: SnapshotReport } | { readonly code: string; readonly message: string };
