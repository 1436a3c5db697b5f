// A KV bucket over its JetStream stream `KV_<bucket>`, the layout that `nats kv` and every client library share.
import type { Cancel } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import { openConsumer } from "./consumer.ts";
import type { Delivered } from "./consumer.ts";
import { keepOpen, readToEnd } from "./heal.ts";
import { apiCall, apiCodes, failed, jetStreamRequest, readStored } from "./jetstream-api.ts";
import type { Bucket, BucketEntry, WatchHandlers } from "./port.ts";
import type { Wire } from "./wire.ts";

interface Marker {
  readonly key: string;
  readonly revision: number;
  readonly time: number;
}

const conflicts: ReadonlySet<number> = new Set([apiCodes.wrongLastSequence, apiCodes.wrongLastSequenceConstant]);
const operationHeader = "KV-Operation";
/** Set by servers that write a marker themselves when a value's time is over. */
const reasonHeader = "Nats-Marker-Reason";
/** Removals in flight; they run in the background and must not crowd out writes. */
const purgesInFlight = 16;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class JetStreamBucket implements Bucket {
  private readonly wire: Wire;
  private readonly stream: string;
  private readonly prefix: string;

  constructor(wire: Wire, name: string) {
    this.wire = wire;
    this.stream = `KV_${name}`;
    this.prefix = `$KV.${name}.`;
  }

  async get(key: string): Promise<BucketEntry | null> {
    const stored = await readStored(this.wire, this.stream, { last_by_subj: this.subject(key) });
    if (stored === null) return null;
    const marker =
      stored.headers.includes(`\r\n${operationHeader}:`) || stored.headers.includes(`\r\n${reasonHeader}:`);
    return { key, value: marker ? null : decoder.decode(stored.data), revision: stored.sequence };
  }

  put(key: string, value: string, expectedRevision: number): Promise<number> {
    return this.write(key, encoder.encode(value), expectedRevision, {});
  }

  remove(key: string, expectedRevision: number): Promise<number> {
    return this.write(key, new Uint8Array(), expectedRevision, { [operationHeader]: "DEL" });
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
      // The live keys of this telling; undefined once it is complete.
      let live: Set<string> | undefined = new Set<string>();
      return this.open(filter, false, {
        onMessage: (message) => {
          const entry = this.entryOf(message);
          if (live !== undefined) {
            // A marker in the first telling says nothing new, unless its key was told a moment ago.
            const known = live.delete(entry.key);
            if (entry.value === null && !known) return;
            if (entry.value !== null) live.add(entry.key);
          }
          handlers.onEntry(entry);
        },
        onCaughtUp: () => {
          if (live === undefined) return;
          const told = live;
          live = undefined;
          handlers.onLoaded(told);
        },
        onLost,
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
          if (isMarker(message)) {
            markers.push({ key: this.keyOf(message.subject), revision: message.sequence, time: message.time });
          }
        },
        onCaughtUp: done,
        onLost: lost,
      });
    });
    const old = markers.filter(({ time }) => newest - time >= olderThanMs);
    const purgeNext = async (): Promise<void> => {
      for (let marker = old.pop(); marker !== undefined; marker = old.pop()) await this.purge(marker);
    };
    const count = old.length;
    await Promise.all(Array.from({ length: purgesInFlight }, purgeNext));
    return count;
  }

  /** Only up to the marker: a value written meanwhile stays. */
  private async purge({ key, revision }: Marker): Promise<void> {
    const request = { filter: this.subject(key), seq: revision + 1 };
    await apiCall(this.wire, `STREAM.PURGE.${this.stream}`, request);
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

  private async write(
    key: string,
    value: Uint8Array,
    expectedRevision: number,
    headers: Readonly<Record<string, string>>,
  ): Promise<number> {
    const subject = this.subject(key);
    const result = await jetStreamRequest<{ readonly seq: number }>(this.wire, subject, value, {
      headers: { ...headers, "Nats-Expected-Last-Subject-Sequence": String(expectedRevision) },
    });
    if ("ok" in result) return result.ok.seq;
    const { code, description } = result.failure;
    if (conflicts.has(code)) {
      throw new SwainError("KV_CONFLICT", `${subject} is not at revision ${expectedRevision}: ${description}`);
    }
    if (code === apiCodes.messageTooLarge) {
      throw new SwainError("PAYLOAD_TOO_LARGE", `${value.length} bytes for ${subject}: ${description}`);
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
    if (!/^[-/=\w]+(\.[-/=\w]+)*$/.test(key)) throw new SwainError("INVALID_ARGUMENT", `"${key}" is not a key`);
    return `${this.prefix}${key}`;
  }
}

function isMarker(message: Delivered): boolean {
  return message.header(operationHeader) !== undefined || message.header(reasonHeader) !== undefined;
}
