// `swain state verify`: folds the log and compares every key of every bucket with its projection, byte for byte. It reads
// the stream and KV and nothing else, so that a controller that projects wrongly cannot vouch for itself. Called by the
// CLI, in a process of its own.
import type { Bus } from "../bus/port.ts";
import type { BucketName } from "../bus/subjects.ts";
import { bucketOrder, subjectsOf } from "../bus/subjects.ts";
import { projection, projectionKeys } from "../core/project.ts";
import type { Clock } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { Ledger } from "./ledger.ts";

interface Difference {
  readonly bucket: BucketName;
  readonly key: string;
  /** missing: not in KV. stray: should not be in KV. different: another value. */
  readonly kind: "missing" | "stray" | "different";
  readonly expected: string | null;
  readonly found: string | null;
}

export interface Verification {
  /** The log's tail that was folded. */
  readonly sequence: number;
  /** Records read, foreign ones included. */
  readonly records: number;
  /** Records no leader wrote. */
  readonly foreign: number;
  /** Keys that should be in KV. */
  readonly keys: number;
  /** At most a thousand. */
  readonly differences: readonly Difference[];
}

/** A living leader writes on while we read; what it has not projected yet after this many looks is a difference. */
const passes = 12;
const pauseMs = 300;
const differencesMost = 1000;

/** Verifies until log and KV agree, or the tries are used up. Rejects with TIMEOUT, JETSTREAM_ERROR or LOG_UNKNOWN_EVENT. */
export async function verifyState(bus: Bus, cluster: string, clock: Clock): Promise<Verification> {
  const subjects = subjectsOf(cluster);
  const log = bus.log(subjects.stream);
  let foreign = 0;
  const ledger = new Ledger(() => {
    foreign++;
  });
  const { first } = await log.tail();
  for (let pass = 1; ; pass++) {
    const sequence = await ledger.catchUp(log);
    const { keys, differences } = await compare(bus, cluster, ledger);
    // Differences count only against a log that stood still meanwhile; agreement does too.
    const isStill = (await log.tail()).last === sequence;
    if ((isStill && differences.length === 0) || pass === passes) {
      const records = Math.max(0, sequence - first + 1);
      return { sequence, records, foreign, keys, differences: differences.slice(0, differencesMost) };
    }
    await sleep(clock, pauseMs);
  }
}

async function compare(
  bus: Bus,
  cluster: string,
  ledger: Ledger,
): Promise<{ keys: number; differences: Difference[] }> {
  const { buckets } = subjectsOf(cluster);
  const differences: Difference[] = [];
  let keys = 0;
  for (const bucket of bucketOrder) {
    const stored = await bus.bucket(buckets[bucket]).load();
    const wanted = projectionKeys(ledger.state, bucket);
    keys += wanted.length;
    for (const key of wanted) {
      const expected = projection(ledger.state, bucket, key);
      const found = stored.get(key)?.value ?? null;
      stored.delete(key);
      if (found !== expected)
        differences.push({ bucket, key, kind: found === null ? "missing" : "different", expected, found });
    }
    for (const [key, { value }] of stored) {
      if (value !== null) differences.push({ bucket, key, kind: "stray", expected: null, found: value });
    }
  }
  return { keys, differences };
}
