// Seeds that showed a defect, and what it was. A change of the program makes another world of a seed: one stays as long as it still
// shows its defect where the mend is taken out. After that the unit tests of the defect hold it alone.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  /** Of the bus. */
  readonly servers: 1 | 3;
  readonly why: string;
}

export const kept: readonly Kept[] = [
  {
    seed: "kd-32",
    minutes: 12,
    servers: 3,
    why: "a fenced pod that served was stopped for a drain while another one of its workload was down",
  },
];
