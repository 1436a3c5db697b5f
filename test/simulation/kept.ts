// Seeds that once showed a defect, and what it was. They are run for ever.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  readonly unsynced?: boolean;
  readonly why: string;
}

export const kept: readonly Kept[] = [
  {
    seed: "tl-172",
    minutes: 12,
    unsynced: true,
    why: "an agent took what a leader of an earlier epoch said, and told it nothing again of what it runs",
  },
];
