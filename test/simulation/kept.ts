// Seeds that once showed a defect, and what it was. They are run for ever.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  readonly unsynced?: boolean;
  readonly why: string;
}

export const kept: readonly Kept[] = [];
