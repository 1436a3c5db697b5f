// `swain state verify`: folds the log, compares the snapshots with the fold as it was at their sequence, and every key of
// every bucket with its projection, byte for byte. It reads streams and KV and nothing else, so that a controller that
// folds or projects wrongly cannot vouch for itself. Called by the CLI, in a process of its own.
import type { SnapshotLine } from "../../schemas/generated/types.ts";
import type { Bus } from "../bus/port.ts";
import type { BucketName } from "../bus/subjects.ts";
import { bucketOrder, subjectsOf } from "../bus/subjects.ts";
import type { ReadState } from "../core/model.ts";
import { projection, projectionKeys } from "../core/project.ts";
import { encodeState } from "../core/snapshot/encode.ts";
import type { Clock } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { SwainError, asSwainError } from "../kernel/errors.ts";
import type { Packing } from "../kernel/packing.ts";
import type { Ledger } from "./ledger.ts";
import { openLedger } from "./snapshot/open.ts";
import type { Opened } from "./snapshot/open.ts";
import { loadSnapshot, storedSnapshots } from "./snapshot/store.ts";
import type { SnapshotPorts, StoredSnapshot } from "./snapshot/store.ts";

interface Difference {
  readonly bucket: BucketName;
  readonly key: string;
  /** missing: not in KV. stray: should not be in KV. different: another value. */
  readonly kind: "missing" | "stray" | "different";
  readonly expected: string | null;
  readonly found: string | null;
}

interface ComparedSnapshot {
  readonly id: string;
  readonly sequence: number;
  /** different: whole, but another state than the fold gives. broken: damaged, or not of this log. */
  readonly state: "equal" | "different" | "broken";
  readonly message: string;
}

export interface Verification {
  /** The log's tail that was folded. */
  readonly sequence: number;
  /** Sequence of the snapshot the fold began with; 0 for the log's own beginning. */
  readonly base: number;
  /** Records read, foreign ones included. */
  readonly records: number;
  /** Records no leader wrote. */
  readonly foreign: number;
  /** Keys that should be in KV. */
  readonly keys: number;
  /** Oldest first. */
  readonly snapshots: readonly ComparedSnapshot[];
  /** Good snapshots that are not there though the log was cut. */
  readonly missing: number;
  /** At most a thousand. */
  readonly differences: readonly Difference[];
}

export interface VerifyPorts {
  readonly bus: Bus;
  readonly cluster: string;
  readonly clock: Clock;
  readonly packing: Packing;
}

/** A living leader writes on while we read; what has not moved in this many looks is a difference. */
const passes = 12;
const pauseMs = 300;
const differencesMost = 1000;
/** Snapshots that a cut log needs. */
const needed = 2;
/** The leader may cut the log and replace snapshots while we read. */
const tries = 5;

/**
 * Verifies until log and KV agree, or the tries are used up. Rejects with TIMEOUT, JETSTREAM_ERROR, LOG_INCOMPLETE,
 * LOG_RESTORING or LOG_UNKNOWN_EVENT.
 */
export async function verifyState(ports: VerifyPorts): Promise<Verification> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await verified(ports);
    } catch (error) {
      if (asSwainError(error).code !== "LOG_UNKNOWN" || attempt === tries) throw error;
    }
  }
}

async function verified({ bus, cluster, clock, packing }: VerifyPorts): Promise<Verification> {
  const subjects = subjectsOf(cluster);
  const log = bus.log(subjects.stream);
  const ports = { bus, subjects, packing };
  let foreign = 0;
  const stored = await whole(ports);
  const { ledger, base } = await earliest(ports, stored, () => foreign++);
  const { first } = await log.tail();
  const begun = base?.manifest.sequence ?? first - 1;
  const snapshots: ComparedSnapshot[] = [];
  for (const one of stored) {
    // The log was cut beyond it: it stands in for nothing any more, and is removed with the next that is made.
    if (one.manifest.accepted < first) continue;
    const compared = await compareSnapshot(ports, one, ledger);
    // Without its successor the count would be wrong.
    if (compared === null)
      throw new SwainError("LOG_UNKNOWN", `snapshot ${one.id} was replaced meanwhile, again and again`);
    snapshots.push(compared);
  }
  const good = snapshots.filter(({ state }) => state === "equal").length;
  const missing = (await log.tail()).first === 1 ? 0 : Math.max(0, needed - good);
  let standing: Difference[] | undefined;
  for (let pass = 1; ; pass++) {
    const sequence = await ledger.catchUp(log);
    const { keys, differences } = await compare(bus, cluster, ledger);
    standing = standing === undefined ? differences : unmoved(standing, differences);
    // One look agrees only where the log stood still meanwhile.
    const isStill = (await log.tail()).last === sequence;
    if ((standing.length === 0 && (isStill || pass > 1)) || pass === passes) {
      const records = Math.max(0, sequence - begun);
      const found = { snapshots, missing, differences: standing.slice(0, differencesMost) };
      return { sequence, base: base?.manifest.sequence ?? 0, records, foreign, keys, ...found };
    }
    await sleep(clock, pauseMs);
  }
}

/** Where the cluster is written to, each look finds other values behind or ahead of the fold. What is found as before is wrong. */
function unmoved(before: readonly Difference[], now: readonly Difference[]): Difference[] {
  const found = new Map(before.map((one) => [`${one.bucket} ${one.key}`, one.found]));
  return now.filter((one) => found.get(`${one.bucket} ${one.key}`) === one.found);
}

/** Oldest first. */
async function whole(ports: SnapshotPorts): Promise<StoredSnapshot[]> {
  const found: StoredSnapshot[] = [];
  for await (const { id, manifest } of storedSnapshots(ports)) if (manifest !== null) found.push({ id, manifest });
  return found.reverse();
}

/** A fold that has come no further than the first snapshot it can be compared with. */
async function earliest(
  ports: SnapshotPorts,
  stored: readonly StoredSnapshot[],
  onForeign: () => void,
): Promise<Opened> {
  const options = { onForeign, onProblem: () => {}, order: "oldest" } as const;
  for (const { manifest } of stored) {
    try {
      return await openLedger(ports, { ...options, upTo: manifest.sequence });
    } catch (error) {
      if (asSwainError(error).code !== "LOG_INCOMPLETE") throw error;
    }
  }
  return openLedger(ports, options);
}

/** Null when it was removed meanwhile. */
async function compareSnapshot(
  ports: SnapshotPorts,
  stored: StoredSnapshot,
  ledger: Ledger,
): Promise<ComparedSnapshot | null> {
  const { id, manifest } = stored;
  const { sequence } = manifest;
  const result = (state: ComparedSnapshot["state"], message: string): ComparedSnapshot => ({
    id,
    sequence,
    state,
    message,
  });
  try {
    if (sequence >= ledger.state.sequence) await ledger.catchUp(ports.bus.log(ports.subjects.stream), sequence);
    const state = await loadSnapshot(ports, stored);
    if (sequence !== ledger.state.sequence) return result("broken", "it does not belong to this log");
    const count = differing(encodeState(ledger.state), encodeState(state));
    return count === 0 ? result("equal", "") : result("different", `${count} lines are not those of the fold`);
  } catch (error) {
    const { code, message } = asSwainError(error);
    if (code !== "SNAPSHOT_BROKEN") throw error;
    const isThere = (await whole(ports)).some((other) => other.id === id);
    return isThere ? result("broken", message) : null;
  }
}

function differing(expected: Generator<string>, found: Generator<string>): number {
  let count = 0;
  for (;;) {
    const [left, right] = [expected.next(), found.next()];
    if (left.done === true && right.done === true) return count;
    if (left.value !== right.value && !isOfBefore(left.value, right.value)) count++;
  }
}

/** True for a workload's line that differs only in what snapshots did not hold once: by which events its templates were set. */
function isOfBefore(expected: string | undefined, found: string | undefined): boolean {
  if (expected?.startsWith('{"workload":') !== true || found === undefined) return false;
  const [left, right] = [expected, found].map((line) => JSON.parse(line) as SnapshotLine);
  const known = new Set(right?.workload?.templates.flatMap((one) => (one.eventId === undefined ? [] : one.generation)));
  for (const one of left?.workload?.templates ?? []) if (!known.has(one.generation)) delete one.eventId;
  return JSON.stringify(left) === JSON.stringify(right);
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
    const values = new Map([...stored].flatMap(([key, { value }]) => (value === null ? [] : [[key, value] as const])));
    keys += projectionKeys(ledger.state, bucket).length;
    differences.push(...differencesOf(ledger.state, bucket, values));
  }
  return { keys, differences };
}

/** How the values of a bucket, by key, differ from what the state says they are. Pure. */
export function differencesOf(
  state: ReadState,
  bucket: BucketName,
  values: ReadonlyMap<string, string>,
): readonly Difference[] {
  const differences: Difference[] = [];
  const wanted = new Set(projectionKeys(state, bucket));
  for (const key of wanted) {
    const expected = projection(state, bucket, key);
    const found = values.get(key) ?? null;
    if (found !== expected)
      differences.push({ bucket, key, kind: found === null ? "missing" : "different", expected, found });
  }
  for (const [key, found] of values) {
    if (!wanted.has(key)) differences.push({ bucket, key, kind: "stray", expected: null, found });
  }
  return differences;
}
