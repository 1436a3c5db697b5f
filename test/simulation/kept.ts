// Seeds that once showed a defect, and what it was. They are run for ever.

export interface Kept {
  readonly seed: string;
  readonly minutes: number;
  readonly unsynced?: boolean;
  readonly why: string;
}

export const kept: readonly Kept[] = [
  {
    seed: "k-table-4",
    minutes: 10,
    unsynced: true,
    why: "proxies did not take a service back whose deletion a power cut had taken",
  },
];
