// Seeds that once showed a defect, and what it was. They are run for ever.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  readonly unsynced?: boolean;
  /** Of the bus. */
  readonly servers: 1 | 3;
  /** The share of the usual faults, where it was another than 1. */
  readonly density?: number;
  readonly why: string;
}

export const kept: readonly Kept[] = [
  {
    seed: "k1-e-22",
    minutes: 12,
    unsynced: true,
    servers: 1,
    why: "an agent took two leaders for one that were elected at one sequence, for the log had lost the first election",
  },
  {
    seed: "tl-172",
    minutes: 12,
    unsynced: true,
    servers: 1,
    why: "an agent took what a leader of an earlier epoch said, and told it nothing again of what it runs",
  },
  {
    seed: "l1u-132",
    minutes: 44,
    unsynced: true,
    servers: 1,
    density: 0.55,
    why: "a slot counted twice that had a pod, and another on its way out at a node that is waited for: one pod too few",
  },
];
