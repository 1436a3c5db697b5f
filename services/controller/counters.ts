// What a controller counts about itself since its process began; shown by cluster.status.

export interface Counters {
  /** Terms begun. */
  terms: number;
  /** Events appended and acknowledged. */
  appended: number;
  /** Appends whose outcome had to be read from the log. */
  settled: number;
  /** Records of the log that no leader wrote, met by this process. */
  foreign: number;
  /** Messages that made no sense and had no one to answer. */
  dropped: number;
  /** Messages refused with a coded error because they made no sense. */
  malformed: number;
  /** Items of plans and reports that the checker refused, and planners that did not come to rest: always a defect. */
  refused: number;
  /** Requests answered BUSY. */
  busy: number;
  /** Stalls of the own loop longer than a second. */
  stalls: number;
  /** Projections written, deletions included. */
  projected: number;
  /** Projections someone else had changed, overwritten. */
  edited: number;
  /** Assignments sent as a difference, and as a hint to pull. */
  assigned: number;
  hinted: number;
  /** Snapshots made and verified for this process, attempts that failed, and bad ones met. */
  snapshots: number;
  snapshotFailures: number;
  snapshotsBroken: number;
  /** Sequence of the newest good snapshot known here; 0 while none is. */
  snapshotSequence: number;
  /** Times this process cut the log. */
  cuts: number;
}

export const noCounts = (): Counters => ({
  terms: 0,
  appended: 0,
  settled: 0,
  foreign: 0,
  dropped: 0,
  malformed: 0,
  refused: 0,
  busy: 0,
  stalls: 0,
  projected: 0,
  edited: 0,
  assigned: 0,
  hinted: 0,
  snapshots: 0,
  snapshotFailures: 0,
  snapshotsBroken: 0,
  snapshotSequence: 0,
  cuts: 0,
});
