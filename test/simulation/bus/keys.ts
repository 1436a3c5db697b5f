// What lies in the buckets of the simulated server, for those who look at it from outside.
import type { Stream } from "./stream.ts";

const decoder = new TextDecoder();

export class Keys {
  private readonly streams: ReadonlyMap<string, Stream>;
  /** What was found when streams of buckets were looked at, and at which of their versions. */
  private readonly looked = new WeakMap<Stream, { version: number; revisions: ReadonlyMap<string, number> }>();

  constructor(streams: ReadonlyMap<string, Stream>) {
    this.streams = streams;
  }

  /** Newest revision of each key of a bucket, by key; less than zero where that removed it. */
  revisions(bucket: string): ReadonlyMap<string, number> {
    const prefix = `$KV.${bucket}.`;
    const stream = this.streams.get(`KV_${bucket}`);
    if (stream === undefined) return new Map();
    const looked = this.looked.get(stream);
    if (looked?.version === stream.version) return looked.revisions;
    const revisions = new Map<string, number>();
    for (const { subject, sequence, data } of stream.newestOfEach(() => true)) {
      revisions.set(subject.slice(prefix.length), data.length === 0 ? -sequence : sequence);
    }
    this.looked.set(stream, { version: stream.version, revisions });
    return revisions;
  }

  /** What a bucket holds, by key. */
  values(bucket: string): ReadonlyMap<string, string> {
    const prefix = `$KV.${bucket}.`;
    const newest = this.streams.get(`KV_${bucket}`)?.newestOfEach(() => true) ?? [];
    return new Map(
      newest.flatMap(({ subject, data }) =>
        data.length === 0 ? [] : [[subject.slice(prefix.length), decoder.decode(data)] as const],
      ),
    );
  }
}
