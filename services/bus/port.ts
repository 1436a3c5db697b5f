// The bus as controller, agent, proxy and CLI see it. `connect.ts` gives the real one (NATS); a simulation gives its own.
import type { Cancel } from "../kernel/clock.ts";

/** A message that arrived. */
export interface BusMessage {
  readonly subject: string;
  /** Where the sender wants the answer; undefined when it wants none. */
  readonly reply: string | undefined;
  readonly data: Uint8Array;
  /** True when its body takes more bytes than that; asked before `json` of what anybody may have sent. */
  isOver(bytes: number): boolean;
  /** A header's first value; undefined when it is not there. */
  header(name: string): string | undefined;
  /** The parsed JSON body, or undefined when it is not JSON. */
  json(): unknown;
}

export interface PublishOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly reply?: string;
}

export interface SubscribeOptions {
  /**
   * True: what the server sends until it knows of the cancel is still handled, so that no asker waits in vain. Otherwise
   * the handler is not called any more once cancelled.
   */
  readonly drain?: boolean;
  /** The server does not allow it. Tried again with each new connection. */
  readonly onRefused?: () => void;
}

export type BusState = "connected" | "disconnected" | "closed";

export interface Bus {
  /** The prefix of every reply subject of this connection, with its last dot. */
  readonly inboxPrefix: string;
  /** What the server can do. */
  readonly features: Features;
  state(): BusState;
  /** How many times the connection has been lost: what was asked for between two moments with the same number went over one. */
  breaks(): number;
  /** Calls back on every change of state. */
  onState(fn: (state: BusState) => void): Cancel;
  /**
   * Sends a value as JSON (a Uint8Array as it is). Lost when disconnected: what must arrive is asked for with `request`.
   * Throws PAYLOAD_TOO_LARGE.
   */
  publish(subject: string, value: unknown, options?: PublishOptions): void;
  /**
   * Sends and waits for one answer. Rejects with NO_LEADER when nobody listens, TIMEOUT, NATS_DENIED or BUS_CLOSED.
   * An answer that is an error is still an answer.
   */
  request(
    subject: string,
    value: unknown,
    options: { timeoutMs: number; headers?: Readonly<Record<string, string>> },
  ): Promise<BusMessage>;
  /** Handles every message of the subject until cancelled; survives reconnects. The handler must not throw. */
  subscribe(subject: string, handler: (message: BusMessage) => void, options?: SubscribeOptions): Cancel;
  /** A round trip to the server: when it resolves, all that was sent before it has been processed there. */
  flush(timeoutMs: number): Promise<void>;
  /** The JetStream stream of that name, which `streams.ts` has ensured. */
  log(stream: string): LogStore;
  /** The KV bucket of that name, which `streams.ts` has ensured. */
  bucket(name: string): Bucket;
  /** It was given several servers. */
  readonly hasOthers: boolean;
  /** Gives this connection up for one to another of its servers, where there are others: this one is of no use. */
  elsewhere(): void;
  /** Sends what is buffered, ends all subscriptions and consumers, and closes. */
  close(): Promise<void>;
}

/** What the connected server can do; see `features.ts`. */
export interface Features {
  readonly version: string;
  /** True when replicas and production use are supported (the floor of DESIGN section 2). */
  readonly production: boolean;
  /** True when `sync_interval: always` exists. */
  readonly syncAlways: boolean;
  /** True when an empty log can be made to begin anywhere by `cut`. */
  readonly emptyCut: boolean;
}

/** One stored message of the log. */
export interface LogRecord {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Server time of the append, milliseconds since 1970. */
  readonly time: number;
}

/** What there is of a log. */
export interface LogTail {
  /** First and last sequence; last = first - 1 when empty. */
  readonly first: number;
  readonly last: number;
  /** How many servers keep it. */
  readonly replicas: number;
  /**
   * How long ago, in milliseconds, the server that said so had heard from so many of the others that they are most of them with it; 0 where there
   * are none, Infinity where it has not yet. Beyond `limits.logUnheardMs` another may lead the log, and what was said be of before.
   */
  readonly heardAgoMs: number;
}

/** The log, or the snapshots beside it: one JetStream stream, each record at the sequence its writer expected. */
export interface LogStore {
  /**
   * Appends when the stream's last sequence is `expectedSequence`; returns the new sequence.
   * Rejects with APPEND_CONFLICT (something else is there), LOG_FULL, PAYLOAD_TOO_LARGE, or TIMEOUT / JETSTREAM_ERROR, whose
   * outcome is unknown.
   */
  append(
    subject: string,
    data: Uint8Array,
    options: { expectedSequence: number; messageId: string; timeoutMs: number },
  ): Promise<number>;
  /**
   * Asked of the stream's leader. Rejects with TIMEOUT, JETSTREAM_ERROR, or LOG_RESTORING while a backup is being written into the log,
   * or when that was broken off: asked after reading, it tells whether what was read is a part of a backup.
   */
  tail(): Promise<LogTail>;
  /** The record at that sequence, or null when there is none (yet). Asked of the stream's leader. */
  get(sequence: number): Promise<LogRecord | null>;
  /** All records from `from` to the tail as it is when called, or to `upTo` if that is before it, in order. Rejects like `tail`. */
  read(from: number, onRecord: (record: LogRecord) => void, upTo?: number): Promise<void>;
  /**
   * Removes all records up to that sequence; of one subject when it is given. Later records keep their sequences. An empty
   * log begins after it, where the server has `emptyCut`; elsewhere it takes no more than what there is.
   */
  cut(upTo: number, subject?: string): Promise<void>;
  /** Bytes stored, and the most the stream takes; 0 when nothing bounds it. */
  room(): Promise<{ used: number; most: number }>;
  /**
   * All records from `from` on, in order, without a gap, for ever; rebuilds itself after any fault. When the stream no
   * longer holds what would come next (made anew, lost its end, cut there, a record removed), it tells `onBroken` once and
   * ends.
   */
  follow(
    from: number,
    onRecord: (record: LogRecord) => void,
    onBroken?: (tail: { first: number; last: number }) => void,
  ): Cancel;
}

export interface BucketEntry {
  readonly key: string;
  /** Null for a deleted key. */
  readonly value: string | null;
  readonly revision: number;
}

/** A KV bucket. */
export interface Bucket {
  /** The entry, or null when the key was never written. A deleted key gives an entry with value null. */
  get(key: string): Promise<BucketEntry | null>;
  /** Writes when the key's revision is `expectedRevision` (0 = never written); returns the new one. Rejects with KV_CONFLICT, TIMEOUT, JETSTREAM_ERROR. */
  put(key: string, value: string, expectedRevision: number): Promise<number>;
  /**
   * Deletes under the same condition; returns the marker's revision. What somebody published under what is no key goes without a marker, up to
   * that revision; under a wildcard it stays, and INVALID_ARGUMENT is thrown.
   */
  remove(key: string, expectedRevision: number): Promise<number>;
  /** Every key with a live value, or a deletion marker still kept. */
  load(): Promise<Map<string, BucketEntry>>;
  /**
   * Tells every live key now and changes from now on: of a key that changes again before the server sent it, the last
   * alone. After any fault (consumer lost, bucket made anew, long disconnect) it tells everything again. `onLoaded` follows each full telling with the live keys: what is not among them is gone.
   */
  watch(filter: string, handlers: WatchHandlers): Cancel;
  /**
   * Removes deletion markers that are this much older than the newest entry of the bucket; returns how many. Until then
   * each deleted key costs its place.
   */
  purgeMarkers(olderThanMs: number): Promise<number>;
}

export interface WatchHandlers {
  onEntry(entry: BucketEntry): void;
  /** `told`: the live keys with the revisions just told. */
  onLoaded(keys: ReadonlySet<string>, told: ReadonlyMap<string, BucketEntry>): void;
  /** The bucket itself is not there; told at each try until it is, after which everything is told again. */
  onMissing?(): void;
}
