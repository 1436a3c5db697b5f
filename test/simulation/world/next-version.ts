// How the next version of a part would differ for those of this one: it says more in every message, of each pod in an assignment
// and in every value of a bucket, and its events hold items that this version does not know. (An item with a field that is not
// known is such an item: controllers of this version lead no more.) So it stands for an upgrade, the connection of a part of this version in between.
import type { Bucket, BucketEntry, Bus, LogRecord, LogStore } from "../../../services/bus/port.ts";
import type { Random } from "../../../services/kernel/ids.ts";

const later = { later: { said: "by the next version" } };
const laterItem = { kind: "quota", verb: "noted", namespace: "default", name: "later" };
/** How many events of the next version hold what only it understands. */
const laterShare = 0.1;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The bus as the next version uses it. */
export function nextVersion(bus: Bus, random: Random): Bus {
  return {
    inboxPrefix: bus.inboxPrefix,
    features: bus.features,
    hasOthers: bus.hasOthers,
    state: () => bus.state(),
    breaks: () => bus.breaks(),
    onState: (fn) => bus.onState(fn),
    publish: (subject, value, options) => bus.publish(subject, more(subject, value), options),
    request: (subject, value, options) => bus.request(subject, more(subject, value), options),
    subscribe: (subject, handler, options) => bus.subscribe(subject, handler, options),
    flush: (timeoutMs) => bus.flush(timeoutMs),
    log: (stream) => nextLog(bus.log(stream), random),
    bucket: (name) => nextBucket(bus.bucket(name)),
    elsewhere: () => bus.elsewhere(),
    close: () => bus.close(),
  };
}

/** What the next version sees in a record: all of it, as this version would if it knew as much. */
export function understood<R extends { readonly data: Uint8Array }>(record: R): R {
  const { buffer, byteOffset, byteLength } = record.data;
  if (!Buffer.from(buffer, byteOffset, byteLength).includes(laterItem.kind)) return record;
  const event = JSON.parse(decoder.decode(record.data)) as { items: { kind: string }[] };
  const items = event.items.filter(({ kind }) => kind !== laterItem.kind);
  return { ...record, data: encoder.encode(JSON.stringify({ ...event, items })) };
}

/** Servers are told only what they know. */
function more(subject: string, value: unknown): unknown {
  const isOurs = !subject.startsWith("$");
  const isObject =
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  return isOurs && isObject ? extended(value) : value;
}

/** With more to it, and so is each of its items. */
function extended(value: object & { readonly items?: unknown }): object {
  if (!Array.isArray(value.items)) return { ...value, ...later };
  return { ...value, ...later, items: value.items.map((item: unknown) => ({ ...(item as object), ...later })) };
}

/** What ends the JSON of a value that the next version wrote. */
const laterEnd = `,${JSON.stringify(later).slice(1)}`;

/** A bucket's value as this version would have written it. */
export const withoutLater = (value: string): string =>
  value.endsWith(laterEnd) ? `${value.slice(0, -laterEnd.length)}}` : value;

function nextBucket(bucket: Bucket): Bucket {
  const known = <E extends BucketEntry>(entry: E): E =>
    entry.value === null ? entry : { ...entry, value: withoutLater(entry.value) };
  const allKnown = (entries: ReadonlyMap<string, BucketEntry>): Map<string, BucketEntry> =>
    new Map([...entries].map(([key, entry]) => [key, known(entry)]));
  return {
    get: async (key) => {
      const entry = await bucket.get(key);
      return entry && known(entry);
    },
    put: (key, value, expected) =>
      bucket.put(key, value.length > 2 && value.endsWith("}") ? value.slice(0, -1) + laterEnd : value, expected),
    remove: (key, expected) => bucket.remove(key, expected),
    load: async () => allKnown(await bucket.load()),
    watch: (filter, handlers) =>
      bucket.watch(filter, {
        onEntry: (entry) => handlers.onEntry(known(entry)),
        onLoaded: (keys, told) => handlers.onLoaded(keys, allKnown(told)),
        onMissing: () => handlers.onMissing?.(),
      }),
    purgeMarkers: (olderThanMs) => bucket.purgeMarkers(olderThanMs),
  };
}

function nextLog(log: LogStore, random: Random): LogStore {
  const each = (onRecord: (record: LogRecord) => void) => (record: LogRecord) => onRecord(understood(record));
  return {
    append: (subject, data, options) => log.append(subject, withMore(data, random), options),
    tail: () => log.tail(),
    get: async (sequence) => {
      const record = await log.get(sequence);
      return record && understood(record);
    },
    read: (from, onRecord, upTo) => log.read(from, each(onRecord), upTo),
    cut: (upTo, subject) => log.cut(upTo, subject),
    room: () => log.room(),
    follow: (from, onRecord, onBroken) => log.follow(from, each(onRecord), onBroken),
  };
}

/** Chunks of snapshots are packed, and are left as they are. */
function withMore(data: Uint8Array, random: Random): Uint8Array {
  if (data[0] !== "{".charCodeAt(0)) return data;
  const event = JSON.parse(decoder.decode(data)) as { items?: unknown[] };
  if (event.items === undefined) return data;
  const items = random.next() < laterShare ? [...event.items, laterItem] : event.items;
  return encoder.encode(JSON.stringify({ ...event, ...later, items }));
}
