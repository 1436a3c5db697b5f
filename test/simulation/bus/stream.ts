// One JetStream stream in memory: records by sequence, the conditions of an append in the order in which servers look at
// them, and what a power cut takes back when writes are not synced.
import { apiCodes } from "../../../services/bus/jetstream-api.ts";
import type { ApiFailure, ApiResult } from "../../../services/bus/jetstream-api.ts";
import type { Clock } from "../../../services/kernel/clock.ts";
import { headerBytes } from "./message.ts";
import type { Headers } from "./message.ts";
import { matcher } from "./routes.ts";

export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers | undefined;
  /** Whole milliseconds since 1970. */
  readonly time: number;
  readonly size: number;
  readonly messageId: string | undefined;
}

export interface Appending {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: Headers | undefined;
  readonly messageId?: string | undefined;
  readonly expectedLast?: number | undefined;
  /** The sequence at which the subject was last written, 0 for never. */
  readonly expectedForSubject?: number | undefined;
}

export interface Appended {
  readonly stored: Stored;
  /** Where the subject was written before, 0 for nowhere. */
  readonly before: number;
  readonly duplicate: boolean;
}

export type Config = Readonly<Record<string, unknown>>;

/** What one write did, to be taken back. */
interface Change {
  /** Monotonic. */
  readonly time: number;
  readonly lastBefore: number;
  readonly added: Stored | undefined;
  readonly removed: readonly Stored[];
}

export interface StreamOptions {
  readonly config: Config;
  /** As servers print it; never the same for two streams. */
  readonly created: string;
  /** A repeated message id is answered with the first sequence even where it expects another end (up to 2.10), or as the conflict it is. */
  readonly acksDuplicates: boolean;
  readonly clock: Clock;
  /** Until when writes were synced at that monotonic time; undefined when each write is synced. */
  readonly syncedAt: ((now: number) => number) | undefined;
}

/** What a file store needs beside subject, headers and body. */
const frameBytes = 30;

export class Stream {
  readonly name: string;
  readonly created: string;
  config: Config;
  last = 0;
  bytes = 0;
  /** Another after each change of what is stored. */
  version = 0;
  /** No record lies below it. */
  private lowest = 1;
  private records = new Map<number, Stored>();
  /** Records of each subject, oldest first; only where their number is limited, which is where they are asked for. */
  private bySubject = new Map<string, Stored[]>();
  private ids = new Map<string, Stored>();
  private changes: Change[] = [];
  private readonly options: StreamOptions;

  constructor(options: StreamOptions) {
    this.options = options;
    this.config = options.config;
    this.created = options.created;
    this.name = String(options.config["name"]);
  }

  /** As it is now, for a server that follows no more. */
  copy(): Stream {
    const copy = new Stream(this.options);
    copy.config = this.config;
    for (const record of this.records.values()) copy.put(record);
    copy.last = this.last;
    return copy;
  }

  get count(): number {
    return this.records.size;
  }

  get first(): number {
    while (this.lowest <= this.last && !this.records.has(this.lowest)) this.lowest += 1;
    return this.lowest;
  }

  get(sequence: number): Stored | undefined {
    return this.records.get(sequence);
  }

  /** The newest record of a subject. */
  newest(subject: string): Stored | undefined {
    if (this.perSubject > 0) return this.bySubject.get(subject)?.at(-1);
    let found: Stored | undefined;
    for (const record of this.records.values()) if (record.subject === subject) found = record;
    return found;
  }

  /** The newest record of all whose subject matches. */
  newestOf(matches: (subject: string) => boolean): Stored | undefined {
    if (this.count === 0) return undefined;
    for (let sequence = this.last; sequence >= this.first; sequence -= 1) {
      const record = this.records.get(sequence);
      if (record !== undefined && matches(record.subject)) return record;
    }
    return undefined;
  }

  /** The newest record of each subject that matches, oldest first. */
  newestOfEach(matches: (subject: string) => boolean): Stored[] {
    const newest = new Map<string, Stored>();
    if (this.perSubject > 0) {
      for (const [subject, records] of this.bySubject) {
        const last = records.at(-1);
        if (last !== undefined && matches(subject)) newest.set(subject, last);
      }
    } else {
      for (const record of this.records.values()) if (matches(record.subject)) newest.set(record.subject, record);
    }
    return [...newest.values()].sort((left, right) => left.sequence - right.sequence);
  }

  append(wanted: Appending, isFull: boolean): ApiResult<Appended> {
    const { subject, data, headers, messageId } = wanted;
    const newest = this.perSubject > 0 ? this.bySubject.get(subject)?.at(-1) : undefined;
    const refused = this.refuses(wanted, newest);
    if (refused !== undefined) return refused;
    const headerSize = headerBytes(headers);
    if (data.length + headerSize > this.limit("max_msg_size")) {
      return { failure: { code: apiCodes.messageTooLarge, description: "message size exceeds maximum allowed" } };
    }
    const size = frameBytes + subject.length + data.length + headerSize;
    const before = newest?.sequence ?? 0;
    const record = {
      sequence: this.last + 1,
      subject,
      data,
      headers,
      time: Math.floor(this.options.clock.wall()),
      size,
      messageId,
    };
    const replaced = this.replacedBy(subject);
    const room = this.roomFailure(size - (replaced?.size ?? 0), replaced === undefined ? 1 : 0, isFull);
    if (room !== undefined) return { failure: room };
    this.remember(record, replaced === undefined ? [] : [replaced]);
    if (replaced !== undefined) this.take(replaced);
    this.last = record.sequence;
    this.put(record);
    return { ok: { stored: record, before, duplicate: false } };
  }

  /**
   * Removes what matches and lies below `below`, but the newest `keep`; returns how many. Purged beyond its end, a stream
   * goes on there.
   */
  purge(range: { filter?: string | undefined; below?: number | undefined; keep?: number | undefined }): number {
    const { filter = ">", below = this.last + 1, keep = 0 } = range;
    const found: Stored[] = [];
    // Markers are purged key by key.
    const ofSubject = this.bySubject.get(filter);
    const matches = matcher(filter);
    for (const record of ofSubject ?? this.records.values()) {
      if (record.sequence >= below) break;
      if (matches(record.subject)) found.push(record);
    }
    const removed = keep === 0 ? found : found.slice(0, -keep);
    const isMoved = filter === ">" && below > this.last + 1;
    if (removed.length > 0 || isMoved) this.remember(undefined, removed);
    for (const record of removed) this.take(record);
    if (isMoved) this.last = below - 1;
    return removed.length;
  }

  /** Removes one record; returns whether it was there. */
  remove(sequence: number): boolean {
    const record = this.records.get(sequence);
    if (record === undefined) return false;
    this.remember(undefined, [record]);
    this.take(record);
    return true;
  }

  /** Takes back what was not synced when the power went. */
  powerCut(): void {
    const { clock, syncedAt } = this.options;
    if (syncedAt === undefined) return;
    const kept = syncedAt(clock.mono());
    const records = new Map(this.records);
    for (let change = this.changes.pop(); change !== undefined && change.time > kept; change = this.changes.pop()) {
      if (change.added !== undefined) records.delete(change.added.sequence);
      for (const record of change.removed) records.set(record.sequence, record);
      this.last = change.lastBefore;
    }
    this.changes = [];
    this.version += 1;
    this.records = new Map();
    this.bySubject = new Map();
    this.ids = new Map();
    this.bytes = 0;
    this.lowest = 1;
    for (const record of [...records.values()].sort((left, right) => left.sequence - right.sequence)) this.put(record);
  }

  private get perSubject(): number {
    return Number(this.config["max_msgs_per_subject"] ?? -1);
  }

  private limit(field: string): number {
    const value = Number(this.config[field] ?? -1);
    return value > 0 ? value : Infinity;
  }

  /** The conditions that come before any look at the room: a conflict is told also by a full stream. */
  private refuses(wanted: Appending, newest: Stored | undefined): ApiResult<Appended> | undefined {
    const { expectedLast, expectedForSubject, messageId } = wanted;
    const first = messageId === undefined ? undefined : this.storedAs(messageId);
    const duplicate = first && { ok: { stored: first, before: 0, duplicate: true } };
    if (duplicate !== undefined && this.options.acksDuplicates) return duplicate;
    if (expectedForSubject !== undefined && expectedForSubject !== (newest?.sequence ?? 0)) {
      return wrongLast(newest?.sequence ?? 0);
    }
    return expectedLast === undefined || expectedLast === this.last ? duplicate : wrongLast(this.last);
  }

  /** The record that makes place because its subject has as many as it may. */
  private replacedBy(subject: string): Stored | undefined {
    const { perSubject } = this;
    if (perSubject <= 0) return undefined;
    const records = this.bySubject.get(subject);
    return records !== undefined && records.length >= perSubject ? records[0] : undefined;
  }

  private roomFailure(more: number, records: number, isFull: boolean): ApiFailure | undefined {
    if (isFull) return { code: apiCodes.resourcesExceeded, description: "insufficient resources" };
    if (this.bytes + more > this.limit("max_bytes")) {
      return { code: apiCodes.storeFailed, description: "maximum bytes exceeded" };
    }
    if (this.count + records > this.limit("max_msgs")) {
      return { code: apiCodes.storeFailed, description: "maximum messages exceeded" };
    }
    return undefined;
  }

  private remember(added: Stored | undefined, removed: readonly Stored[]): void {
    const { clock, syncedAt } = this.options;
    if (syncedAt === undefined) return;
    const now = clock.mono();
    const oldest = this.changes[0];
    const kept = syncedAt(now);
    if (oldest !== undefined && oldest.time <= kept) this.changes = this.changes.filter(({ time }) => time > kept);
    this.changes.push({ time: now, lastBefore: this.last, added, removed });
  }

  private put(record: Stored): void {
    this.version += 1;
    this.records.set(record.sequence, record);
    this.bytes += record.size;
    if (record.messageId !== undefined) this.ids.set(record.messageId, record);
    if (this.perSubject <= 0) return;
    const records = this.bySubject.get(record.subject);
    if (records === undefined) this.bySubject.set(record.subject, [record]);
    else records.push(record);
  }

  private take(record: Stored): void {
    this.version += 1;
    this.records.delete(record.sequence);
    this.bytes -= record.size;
    const records = this.bySubject.get(record.subject);
    if (records === undefined) return;
    records.splice(records.indexOf(record), 1);
    if (records.length === 0) this.bySubject.delete(record.subject);
  }

  /** What was stored under that message id, as long as it is remembered. */
  private storedAs(messageId: string): Stored | undefined {
    const now = this.options.clock.wall();
    const window = Number(this.config["duplicate_window"] ?? 0) / 1_000_000;
    for (const [id, record] of this.ids) {
      if (now - record.time < window) break;
      this.ids.delete(id);
    }
    return this.ids.get(messageId);
  }
}

function wrongLast(last: number): { failure: ApiFailure } {
  return { failure: { code: apiCodes.wrongLastSequence, description: `wrong last sequence: ${last}` } };
}
