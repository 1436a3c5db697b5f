// What tests of any bus share: a world to connect to, and waiting for what must happen.
import type { Bus, BucketEntry } from "../../services/bus/port.ts";
import type { Subjects } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";

/** A bus with the streams of one new cluster, to which any number of connections can be made. */
export interface BusWorld {
  readonly cluster: string;
  connect(options?: { inboxPrefix?: string }): Promise<Bus>;
  /** Ends the server as a crash would, and keeps what is stored; `start` has it run again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends everything it made. */
  close(): Promise<void>;
}

/** A world with two connections. */
export interface OpenedWorld {
  readonly world: BusWorld;
  readonly names: Subjects;
  readonly bus: Bus;
  readonly other: Bus;
}

const encoder = new TextEncoder();
let counter = 0;

/** Longer than anything takes that works. */
export const waitMs = 5000;

export const bytes = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

/** A token no other test of this process uses. */
export const fresh = (): string => `t${(counter += 1)}`;

/** Resolves when the condition holds; looks often and gives up after a while. */
export async function until(condition: () => boolean, what: string, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The code a promise was rejected with. */
export async function codeOf(work: Promise<unknown>): Promise<Code | "none"> {
  try {
    await work;
    return "none";
  } catch (error) {
    if (error instanceof SwainError) return error.code;
    throw error;
  }
}

/** What a watcher knows: the entries told, and the full tellings. */
export function watcher(bus: Bus, bucket: string, filter: string) {
  const entries = new Map<string, BucketEntry>();
  const told: BucketEntry[] = [];
  const loads: ReadonlySet<string>[] = [];
  const cancel = bus.bucket(bucket).watch(filter, {
    onEntry: (entry) => {
      told.push(entry);
      entries.set(entry.key, entry);
    },
    onLoaded: (keys) => {
      loads.push(keys);
      for (const key of entries.keys()) if (!keys.has(key)) entries.delete(key);
    },
  });
  return { entries, told, loads, cancel, value: (key: string) => entries.get(key)?.value };
}
