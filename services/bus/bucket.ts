// A KV bucket: read and written through the client library's, and told through consumers of our own on its stream
// `KV_<bucket>`, because the library's watch is silent for a minute and a half after it lost its consumer.
import type { KV } from "@nats-io/kv";
import type { Cancel } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import { openConsumer } from "./consumer.ts";
import type { Delivered } from "./consumer.ts";
import { keepOpen, readToEnd } from "./heal.ts";
import { apiCodes, conflicts, failed, isMissing, valueOf } from "./jetstream-api.ts";
import type { ApiResult } from "./jetstream-api.ts";
import type { Bucket, BucketEntry, WatchHandlers } from "./port.ts";
import { isKey } from "./subjects.ts";
import type { Wire } from "./wire.ts";

interface Marker {
  readonly key: string;
  readonly revision: number;
  readonly time: number;
}

const operationHeader = "KV-Operation";
/** Set by servers that write a marker themselves when a value's time is over. */
const reasonHeader = "Nats-Marker-Reason";
/** Removals in flight; they run in the background and must not crowd out writes. */
const purgesInFlight = 16;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class JetStreamBucket implements Bucket {
  private readonly wire: Wire;
  private readonly name: string;
  private readonly stream: string;
  private readonly prefix: string;

  constructor(wire: Wire, name: string) {
    this.wire = wire;
    this.name = name;
    this.stream = `KV_${name}`;
    this.prefix = `$KV.${name}.`;
  }

  async get(key: string): Promise<BucketEntry | null> {
    const result = await this.use(key, (kv) => kv.get(key));
    const entry = valueOf(`read ${this.subject(key)}`, result);
    return entry && { key, value: entry.operation === "PUT" ? entry.string() : null, revision: entry.revision };
  }

  async put(key: string, value: string, expectedRevision: number): Promise<number> {
    const data = encoder.encode(value);
    // Not `create`, which also writes over a marker: zero means never written.
    const written = await this.use(
      key,
      (kv, timeout) => kv.put(key, data, { previousSeq: expectedRevision, timeout }),
      data.length,
    );
    return this.written(written, key, expectedRevision, data.length);
  }

  async remove(key: string, expectedRevision: number): Promise<number> {
    if (!isKey(key)) {
      await this.purge(key, expectedRevision);
      return expectedRevision;
    }
    const subject = this.subject(key);
    // To the library zero means any revision; and what was never written cannot be removed.
    if (expectedRevision === 0) throw new SwainError("KV_CONFLICT", `${subject} is not at revision 0`);
    const removed = await this.use(key, async (kv) => {
      await kv.delete(key, { previousSeq: expectedRevision });
      // The library keeps the marker's revision to itself, so it is read. That makes removing two to three times as slow as
      // one request would be, but at some 4,000 a second still far faster than pods can be stopped.
      return kv.get(key);
    });
    const entry = this.written(removed, key, expectedRevision, 0);
    if (entry === null || entry.operation === "PUT") {
      throw new SwainError("KV_CONFLICT", `${subject} was written again as soon as it was removed`);
    }
    return entry.revision;
  }

  async load(): Promise<Map<string, BucketEntry>> {
    const entries = new Map<string, BucketEntry>();
    await readToEnd(this.wire, this.stream, ({ progress, done, lost }) => {
      entries.clear();
      return this.open(">", false, {
        onMessage: (message) => {
          progress();
          const entry = this.entryOf(message);
          entries.set(entry.key, entry);
        },
        onCaughtUp: done,
        onLost: lost,
      });
    });
    return entries;
  }

  watch(filter: string, handlers: WatchHandlers): Cancel {
    return keepOpen(this.wire, `${this.stream} ${filter}`, (onLost) => {
      // Kept until it is whole: a copy of the stream that is behind would tell what was before, as if it came now.
      let telling: Map<string, BucketEntry> | undefined = new Map<string, BucketEntry>();
      return this.open(filter, false, {
        onMessage: (message) => {
          const entry = this.entryOf(message);
          if (telling === undefined) handlers.onEntry(entry);
          else telling.set(entry.key, entry);
        },
        onCaughtUp: () => {
          const live = new Map([...(telling ?? [])].filter(([, { value }]) => value !== null));
          telling = undefined;
          for (const entry of live.values()) handlers.onEntry(entry);
          handlers.onLoaded(new Set(live.keys()), live);
        },
        onLost: (error) => {
          if (isMissing(error)) handlers.onMissing?.();
          onLost(error);
        },
      });
    });
  }

  async purgeMarkers(olderThanMs: number): Promise<number> {
    const markers: Marker[] = [];
    let newest = 0;
    await readToEnd(this.wire, `markers of ${this.stream}`, ({ progress, done, lost }) => {
      markers.length = 0;
      return this.open(">", true, {
        onMessage: (message) => {
          progress();
          newest = Math.max(newest, message.time);
          const key = this.keyOf(message.subject);
          if (isMarker(message) && !hasWildcard(key)) {
            markers.push({ key, revision: message.sequence, time: message.time });
          }
        },
        onCaughtUp: done,
        onLost: lost,
      });
    });
    const old = markers.filter(({ time }) => newest - time >= olderThanMs);
    const purgeNext = async (): Promise<void> => {
      for (let marker = old.pop(); marker !== undefined; marker = old.pop())
        await this.purge(marker.key, marker.revision);
    };
    const count = old.length;
    await Promise.all(Array.from({ length: purgesInFlight }, purgeNext));
    return count;
  }

  /** Only up to that revision, unlike `purgeDeletes` of the library: a value written meanwhile stays. */
  private async purge(key: string, revision: number): Promise<void> {
    const subject = `${this.prefix}${key}`;
    if (hasWildcard(key)) throw new SwainError("INVALID_ARGUMENT", `${subject} stands for all keys it matches`);
    const what = `up to ${revision} of ${subject}`;
    const range = { filter: subject, seq: revision + 1 };
    valueOf(what, await this.wire.jetStream(what, ({ streams }) => streams.purge(this.stream, range)));
  }

  private open(filter: string, headersOnly: boolean, handlers: Parameters<typeof openConsumer>[2]): Cancel {
    const options = {
      stream: this.stream,
      filter: `${this.prefix}${filter}`,
      start: "last-per-subject",
      headersOnly,
    } as const;
    return openConsumer(this.wire, options, handlers);
  }

  /** Calls the library's bucket. Rejects with INVALID_ARGUMENT for what is not a key. */
  private async use<T>(key: string, work: (kv: KV, timeoutMs: number) => Promise<T>, bytes = 0): Promise<ApiResult<T>> {
    return this.wire.jetStream(
      this.subject(key),
      async (library, timeoutMs) => work(await library.bucket(this.name), timeoutMs),
      { bytes },
    );
  }

  /** What a write gave; a refusal is thrown. */
  private written<T>(result: ApiResult<T>, key: string, expectedRevision: number, size: number): T {
    if ("ok" in result) return result.ok;
    const { code, description } = result.failure;
    const subject = this.subject(key);
    if (conflicts.has(code)) {
      throw new SwainError("KV_CONFLICT", `${subject} is not at revision ${expectedRevision}: ${description}`);
    }
    if (code === apiCodes.messageTooLarge) {
      throw new SwainError("PAYLOAD_TOO_LARGE", `${size} bytes for ${subject}: ${description}`);
    }
    throw failed(`write ${subject}`, result.failure);
  }

  private entryOf(message: Delivered): BucketEntry {
    return {
      key: this.keyOf(message.subject),
      value: isMarker(message) ? null : decoder.decode(message.data),
      revision: message.sequence,
    };
  }

  private keyOf(subject: string): string {
    return subject.slice(this.prefix.length);
  }

  private subject(key: string): string {
    if (!isKey(key)) throw new SwainError("INVALID_ARGUMENT", `"${key}" is not a key`);
    return `${this.prefix}${key}`;
  }
}

/** Servers store also what is published to a wildcard, under that. */
const hasWildcard = (key: string): boolean => key.split(".").some((token) => token === "*" || token === ">");

function isMarker(message: Delivered): boolean {
  return message.header(operationHeader) !== undefined || message.header(reasonHeader) !== undefined;
}
