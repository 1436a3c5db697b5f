// Seeds that once showed a defect, and what it was. They are run for ever.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  readonly unsynced?: boolean;
  readonly why: string;
}

export const kept: readonly Kept[] = [
  {
    seed: "f2-1",
    minutes: 60,
    unsynced: true,
    why: "a leader of before a power cut wrote again behind what the next one had written",
  },
];
