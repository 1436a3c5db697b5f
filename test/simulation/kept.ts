// Seeds that once showed a defect, and what it was. They are run for ever.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  readonly unsynced?: boolean;
  readonly why: string;
}

export const kept: readonly Kept[] = [
  {
    seed: "k1-e-22",
    minutes: 12,
    unsynced: true,
    why: "an agent took two leaders for one that were elected at one sequence, for the log had lost the first election",
  },
  {
    seed: "tl-172",
    minutes: 12,
    unsynced: true,
    why: "an agent took what a leader of an earlier epoch said, and told it nothing again of what it runs",
  },
];
