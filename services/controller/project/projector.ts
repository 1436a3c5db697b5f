// Writes the projections of acknowledged events to KV: latest wins, by compare-and-set on each key's revision, never over
// a newer one. It watches the buckets as well: the first full telling at the start of a term is the comparison with what
// earlier leaders left there, and afterwards a change that is not its own is a hand edit. Called by the term.
import { limits } from "../../bus/limits.ts";
import type { Bucket, BucketEntry } from "../../bus/port.ts";
import { ensureBucket } from "../../bus/streams.ts";
import type { BucketName } from "../../bus/subjects.ts";
import { bucketOrder, isKey } from "../../bus/subjects.ts";
import type { Key, ReadState, Touched } from "../../core/model.ts";
import { projection, projectionKeys, touchedKeys } from "../../core/project.ts";
import { delayMs } from "../../kernel/backoff.ts";
import type { Backoff } from "../../kernel/backoff.ts";
import type { Cancel } from "../../kernel/clock.ts";
import { asSwainError } from "../../kernel/errors.ts";
import type { Code } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";
import { Dirty } from "./dirty.ts";
import type { DirtyKey } from "./dirty.ts";
import { judge } from "./found.ts";

/** After a write that failed; nothing is written into its bucket meanwhile. */
const retry: Backoff = { firstMs: 100, maxMs: 5000, factor: 2 };
/** An object that its bucket does not take is tried again this often: it may have become smaller, or the bucket larger. */
const asideMs = 5000;
/** Proxies have seconds to read what is written: an endpoints key that waits no longer than this does not count against that. */
const lateMs = 1000;
/** What an earlier leader left to be written, or the bucket lost, is late when it is found: nobody knows since when it waits. */
const leftMs = lateMs + 1;
/** Failures in a row after which it is no hiccup: by then some seconds have passed. */
const failuresSaid = 5;
/** Deletion markers of pods that are gone pile up otherwise, one per pod that ever was. */
const purgeEveryMs = 3_600_000;
const purgeOlderMs = 600_000;
/** Conflicts of one write in a row before it goes back to the end of the queue. */
const conflictsMost = 3;

export interface ProjectorGate {
  /** True while this process may write. */
  mayWrite(): boolean;
  /** KV holds something newer than this state: who leads must be looked up. */
  onNewer(): void;
}

/** One bucket as this process knows it. */
interface Shelf {
  readonly bucket: Bucket;
  /** Last revision known per live key. Null: something may be there, which has to be read before the key is written. */
  readonly revisions: Map<string, number | null>;
  /** Own deletion markers whose telling is still to come: entries told before it are old news. */
  readonly markers: Map<string, number>;
  /** Highest revision told of keys while they were being written. */
  readonly told: Map<string, number>;
  /** Keys whose value the bucket does not take, as was said of them, and since when. */
  readonly aside: Map<string, number>;
  /** What somebody else seems to have made of keys. Who follows this leader writes, too: it is said once this process has written. */
  readonly edits: Map<string, BucketEntry>;
  /** What somebody published under what is no key: to be removed. */
  readonly keyless: Map<string, BucketEntry>;
  /** True once all that was there at the start has been compared. */
  loaded: boolean;
}

/** Writing into one bucket. Of several servers each bucket may have another that leads it, or none: no other waits for it. */
interface Lane {
  inFlight: number;
  /** In a row. */
  failures: number;
  pause: Cancel | undefined;
}

/** What came of a write: `tooLarge` keeps its key waiting and no other. */
type Outcome = "written" | "failed" | "tooLarge";

export class Projector {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly gate: ProjectorGate;
  private readonly shelves = new Map<BucketName, Shelf>();
  private readonly dirty = new Dirty();
  private readonly cancels: Cancel[] = [];
  private readonly lanes: Readonly<Record<BucketName, Lane>> = {
    endpoints: newLane(),
    pods: newLane(),
    nodes: newLane(),
    desired: newLane(),
    workloads: newLane(),
  };
  /** Service → when an endpoints key of it was written late. Left out once proxies have had the time to read it. */
  private readonly lateAt = new Map<Key, number>();
  /** Buckets that are being made again. */
  private readonly making = new Set<BucketName>();
  private asideAgain: Cancel | undefined;
  private purging: Cancel | undefined;
  private ended = false;

  constructor(context: Context, state: ReadState, gate: ProjectorGate) {
    this.context = context;
    this.state = state;
    this.gate = gate;
  }

  start(): void {
    this.watch();
    this.purging = this.context.clock.every(purgeEveryMs, () => void this.purge());
  }

  /** Compares every key that is there with what should be, as at the start of a term. */
  reload(): void {
    for (const cancel of this.cancels.splice(0)) cancel();
    this.watch();
  }

  private watch(): void {
    const { bus, subjects } = this.context;
    for (const name of bucketOrder) {
      const bucket = bus.bucket(subjects.buckets[name]);
      const known = { revisions: new Map(), markers: new Map(), told: new Map(), aside: new Map(), edits: new Map() };
      const shelf: Shelf = { bucket, ...known, keyless: new Map(), loaded: false };
      this.shelves.set(name, shelf);
      this.cancels.push(
        shelf.bucket.watch(">", {
          onEntry: (entry) => this.onEntry(name, shelf, entry),
          onLoaded: (keys, told) => this.onLoaded(name, shelf, keys, told),
          onMissing: () => void this.makeAgain(name),
        }),
      );
    }
  }

  stop(): void {
    this.ended = true;
    for (const { pause } of Object.values(this.lanes)) pause?.();
    this.asideAgain?.();
    this.purging?.();
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  /** An acknowledged event changed these objects. */
  onTouched(touched: Touched): void {
    const now = this.context.clock.mono();
    for (const { bucket, key } of touchedKeys(touched)) this.dirty.mark(bucket, key, now);
    this.pump();
  }

  /** Writes again where writing was held back. */
  resume(): void {
    this.pump();
  }

  /** Keys not written yet, and milliseconds the oldest of them has waited. */
  lag(): { keys: number; ms: number } {
    const now = this.context.clock.mono();
    let keys = this.dirty.size;
    let oldestMs = this.dirty.oldestMs(now);
    for (const { aside } of this.shelves.values()) {
      keys += aside.size;
      // In the order in which they were set aside.
      const [since = now] = aside.values();
      oldestMs = Math.max(oldestMs, now - since);
    }
    return { keys, ms: Math.round(oldestMs) };
  }

  /** Service → milliseconds since what proxies read of it was written, where that was late; 0 while it waits. */
  writtenAgoMs(): Pick<ReadonlyMap<Key, number>, "get"> {
    const shelf = this.shelves.get("endpoints");
    // What is in the bucket is not known: an earlier leader may have been unable to write it.
    if (shelf?.loaded !== true) return { get: () => 0 };
    const now = this.context.clock.mono();
    const ago = new Map<Key, number>();
    for (const [service, at] of this.lateAt) {
      if (now - at > limits.proxyAckMs) this.lateAt.delete(service);
      else ago.set(service, now - at);
    }
    const waiting = [...this.dirty.olderThan("endpoints", now - lateMs), ...shelf.aside.keys()];
    for (const key of waiting) ago.set(serviceOf(key), 0);
    return ago;
  }

  private onEntry(name: BucketName, shelf: Shelf, entry: BucketEntry): void {
    const { key, value, revision } = entry;
    if (this.ended) return;
    if (!isKey(key)) {
      shelf.keyless.set(key, entry);
      this.mark(name, key);
      return;
    }
    // Most likely our own write, whose answer is under way; the write itself finds out.
    if (this.dirty.isWriting(name, key)) {
      shelf.told.set(key, revision);
      return;
    }
    const marker = shelf.markers.get(key) ?? 0;
    if (revision >= marker) shelf.markers.delete(key);
    if (revision <= Math.max(marker, shelf.revisions.get(key) ?? 0)) return;
    const found = judge(value, projection(this.state, name, key), this.state);
    if (found === "newer") shelf.revisions.set(key, null);
    else noteRevision(shelf, key, value === null ? null : revision);
    if (found === "same") return;
    const isEdit = shelf.loaded ? found !== "newer" && !this.dirty.isMarked(name, key) : found === "edited";
    if (isEdit) shelf.edits.set(key, entry);
    this.mark(name, key, shelf.loaded ? 0 : leftMs);
  }

  /** All live keys were told: what is missing must be written, what is too much was marked when it was told. */
  private onLoaded(
    name: BucketName,
    shelf: Shelf,
    keys: ReadonlySet<string>,
    told: ReadonlyMap<string, BucketEntry>,
  ): void {
    if (this.ended) return;
    shelf.loaded = true;
    // An earlier revision than is known: told while it was written again, or the bucket has lost its end. After that somebody
    // else may have written under the very revision that is known.
    for (const [key, { revision, value }] of told) {
      if (!isKey(key)) continue;
      const known = Math.max(shelf.markers.get(key) ?? 0, shelf.revisions.get(key) ?? 0);
      if (revision > known || (revision === known && value === projection(this.state, name, key))) continue;
      shelf.revisions.set(key, null);
      this.mark(name, key, leftMs);
    }
    for (const key of projectionKeys(this.state, name)) if (!keys.has(key)) this.mark(name, key, leftMs);
    this.pump();
  }

  /** Somebody deleted a bucket: its watch tells that it is empty once it is there, and everything is written again. */
  private async makeAgain(name: BucketName): Promise<void> {
    const { bus, cluster, log } = this.context;
    if (this.ended || !this.gate.mayWrite() || this.making.has(name)) return;
    this.making.add(name);
    try {
      await ensureBucket(bus, cluster, name);
      log.warn("a bucket was gone and is made again", { bucket: name });
    } catch (error) {
      const { code, message } = asSwainError(error);
      log.warn("a bucket is gone and cannot be made again", { bucket: name, code, message });
    } finally {
      this.making.delete(name);
    }
  }

  private mark(bucket: BucketName, key: string, agoMs = 0): void {
    this.dirty.mark(bucket, key, this.context.clock.mono() - agoMs);
    this.pump();
  }

  private pump(): void {
    while (!this.ended && this.gate.mayWrite()) {
      const taken = this.dirty.take((bucket) => this.isFree(bucket));
      if (taken === undefined) return;
      const lane = this.lanes[taken.bucket];
      lane.inFlight++;
      void this.write(taken).then((outcome) => {
        lane.inFlight--;
        this.dirty.release(taken);
        if (outcome === "tooLarge") this.setAside(taken);
        else if (outcome === "written") this.onWritten(taken);
        this.conclude(taken, outcome !== "failed");
        this.pump();
      });
    }
  }

  private onWritten({ bucket, key, since }: DirtyKey): void {
    const now = this.context.clock.mono();
    const shelf = this.shelves.get(bucket);
    const wasAside = shelf?.aside.delete(key) === true;
    const edit = shelf?.edits.get(key);
    shelf?.edits.delete(key);
    if (edit !== undefined && !this.ended) this.countEdit(bucket, edit);
    if (bucket === "endpoints" && (wasAside || now - since > lateMs)) this.lateAt.set(serviceOf(key), now);
  }

  private isFree(bucket: BucketName): boolean {
    const { inFlight, pause } = this.lanes[bucket];
    return this.shelves.get(bucket)?.loaded === true && pause === undefined && inFlight < limits.projectionInFlight;
  }

  private conclude(taken: DirtyKey, ok: boolean): void {
    const shelf = this.shelves.get(taken.bucket);
    const told = shelf?.told.get(taken.key) ?? 0;
    const known = shelf?.revisions.get(taken.key) ?? shelf?.markers.get(taken.key) ?? 0;
    shelf?.told.delete(taken.key);
    if (told >= (shelf?.markers.get(taken.key) ?? Infinity)) shelf?.markers.delete(taken.key);
    // Someone wrote after us while we were busy.
    const overtaken = told > known;
    if (overtaken) shelf?.revisions.set(taken.key, null);
    if (!ok || overtaken) {
      this.dirty.mark(taken.bucket, taken.key, overtaken ? this.context.clock.mono() : taken.since);
    }
    const lane = this.lanes[taken.bucket];
    if (ok) lane.failures = 0;
    else if (lane.pause === undefined && !this.ended) {
      if (lane.failures === failuresSaid) this.sayLate();
      lane.pause = this.context.clock.after(delayMs(retry, lane.failures++), () => {
        lane.pause = undefined;
        this.pump();
      });
    }
  }

  /** The key holds what it should, or must be tried again; never rejects. */
  private async write({ bucket: name, key }: DirtyKey): Promise<Outcome> {
    const shelf = this.shelves.get(name);
    if (shelf === undefined) return "written";
    if (!isKey(key)) return await this.discard(name, shelf, key);
    for (let conflict = 0; conflict < conflictsMost && !this.ended; conflict++) {
      // What the state says now, which may be newer than the event that marked the key.
      const value = projection(this.state, name, key);
      const revision = shelf.revisions.get(key);
      if (value === null && revision === undefined) return "written";
      if (revision !== null) {
        const failure = await this.tryWrite(shelf, key, value, revision ?? 0);
        if (failure === undefined || failure === "BUS_CLOSED") return "written";
        if (failure === "PAYLOAD_TOO_LARGE") return "tooLarge";
        // It may have been stored nevertheless: then the watch tells of it.
        if (failure !== "KV_CONFLICT") return "failed";
      }
      const settled = await this.settle(name, shelf, key, value);
      if (settled !== "retry") return settled === "done" ? "written" : "failed";
    }
    return "failed";
  }

  /** Removes what no client of the bucket could have written. */
  private async discard(name: BucketName, { bucket, keyless }: Shelf, key: string): Promise<Outcome> {
    const entry = keyless.get(key);
    if (entry === undefined) return "written";
    try {
      await bucket.remove(key, entry.revision);
      this.countEdit(name, entry);
    } catch (error) {
      const { code, message } = asSwainError(error);
      if (code !== "INVALID_ARGUMENT") return "failed";
      this.context.log.warn("what is under no key stays", { bucket: name, key, code, message });
    }
    if (keyless.get(key) === entry) keyless.delete(key);
    return "written";
  }

  /** Writes once, or gives the code of what was in the way. */
  private async tryWrite(shelf: Shelf, key: string, value: string | null, revision: number): Promise<Code | undefined> {
    try {
      if (value === null) {
        shelf.markers.set(key, await shelf.bucket.remove(key, revision));
        shelf.revisions.delete(key);
      } else shelf.revisions.set(key, await shelf.bucket.put(key, value, revision));
      this.context.counters.projected++;
      return undefined;
    } catch (error) {
      return asSwainError(error).code;
    }
  }

  /** Reads what is there, after a conflict or where that is not known. */
  private async settle(
    name: BucketName,
    shelf: Shelf,
    key: string,
    value: string | null,
  ): Promise<"done" | "retry" | "failed"> {
    try {
      const entry = (await shelf.bucket.get(key)) ?? { key, value: null, revision: 0 };
      // A marker's revision is what the next write must name; it is forgotten again with that write.
      noteRevision(shelf, key, entry.value === null && value === null ? null : entry.revision);
      switch (judge(entry.value, value, this.state)) {
        case "same":
          return "done";
        case "newer":
          return await this.onNewer(name, shelf, entry);
        case "edited":
          this.countEdit(name, entry);
          return "retry";
        case "older":
          return "retry";
      }
    } catch {
      return "failed";
    }
  }

  /** A value beyond the last folded sequence: another leader's, unless the log does not reach that far. */
  private async onNewer(name: BucketName, shelf: Shelf, entry: BucketEntry): Promise<"retry" | "failed"> {
    const { bus, subjects } = this.context;
    const tail = await bus.log(subjects.stream).tail();
    const { logId, parents } = this.state;
    if (judge(entry.value, null, { logId, parents, sequence: tail.last }) === "newer") {
      this.countEdit(name, entry);
      return "retry";
    }
    shelf.revisions.set(entry.key, null);
    this.gate.onNewer();
    return "failed";
  }

  /** The same again is refused again, so no other waits for it. */
  private setAside({ bucket, key }: DirtyKey): void {
    const { clock, log } = this.context;
    const aside = this.shelves.get(bucket)?.aside;
    if (aside === undefined || this.ended) return;
    if (!aside.has(key)) {
      aside.set(key, clock.mono());
      const fields = { code: "PAYLOAD_TOO_LARGE", bucket, key };
      log.error("an object is larger than its bucket takes, which keeps what it has", fields);
    }
    this.asideAgain ??= clock.after(asideMs, () => {
      this.asideAgain = undefined;
      for (const [name, shelf] of this.shelves) for (const each of shelf.aside.keys()) this.mark(name, each);
    });
  }

  private sayLate(): void {
    const { keys, ms } = this.lag();
    this.context.log.warn("objects cannot be written into their buckets", { code: "PROJECTIONS_LATE", keys, ms });
  }

  private async purge(): Promise<void> {
    for (const shelf of this.shelves.values()) {
      await shelf.bucket.purgeMarkers(purgeOlderMs).catch((error: unknown) => {
        this.context.log.debug("deletion markers were not purged", { code: asSwainError(error).code });
      });
    }
  }

  private countEdit(bucket: BucketName, entry: BucketEntry): void {
    this.context.counters.edited++;
    this.context.log.warn("a projection was changed by someone else and is overwritten", {
      code: "PROJECTION_EDITED",
      bucket,
      key: entry.key,
      revision: entry.revision,
    });
  }
}

/** The service that a key of the endpoints' bucket belongs to. */
const serviceOf = (key: string): Key => key.split(".").slice(0, 2).join("/");

function newLane(): Lane {
  return { inFlight: 0, failures: 0, pause: undefined };
}

function noteRevision(shelf: Shelf, key: string, revision: number | null): void {
  if (revision === null) shelf.revisions.delete(key);
  else shelf.revisions.set(key, revision);
}
