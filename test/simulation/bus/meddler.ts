// Somebody with all rights on the simulated server, who changes streams that are none of his, or a disk that loses them.
import type { Subjects } from "../../../services/bus/subjects.ts";
import { snapshotPartOf } from "../../../services/bus/subjects.ts";
import type { Chance } from "../chance.ts";
import type { JetStream } from "./jetstream.ts";

export class Meddler {
  private readonly js: JetStream;
  private readonly names: Subjects;
  /** What the log took before it was limited. */
  private logBytes: number | undefined;

  constructor(js: JetStream, names: Subjects) {
    this.js = js;
    this.names = names;
  }

  /** The log takes that many bytes more; undefined: as many as it took before it was first limited. */
  limitLog(more?: number): void {
    const stream = this.js.streams.get(this.names.stream);
    if (stream === undefined) return;
    const most = Number(stream.config["max_bytes"]);
    if (more !== undefined) this.logBytes ??= most;
    const wanted = more === undefined ? (this.logBytes ?? most) : stream.bytes + more;
    if (more === undefined) this.logBytes = undefined;
    this.js.update(stream, { ...stream.config, max_bytes: wanted });
  }

  deleteBucket(bucket: string): void {
    this.delete(`KV_${bucket}`);
  }

  deleteLog(): void {
    this.delete(this.names.stream);
  }

  deleteSnapshots(): void {
    this.delete(this.names.snapshots);
  }

  removeRecord(sequence: number): void {
    this.js.streams.get(this.names.stream)?.remove(sequence);
  }

  /** One part of the newest snapshot is gone, or any part of any. */
  breakSnapshot(chance: Chance, isNewest: boolean): void {
    const stream = this.js.streams.get(this.names.snapshots);
    const parts = stream?.newestOfEach(() => true) ?? [];
    const idOf = (subject: string): string => snapshotPartOf(subject).id;
    const newest = parts.at(-1);
    if (stream === undefined || newest === undefined) return;
    const ids = isNewest ? [idOf(newest.subject)] : [...new Set(parts.map(({ subject }) => idOf(subject)))];
    const id = chance.pick(ids);
    const sequences: number[] = [];
    for (let at = stream.first; at <= stream.last; at += 1) {
      if (idOf(stream.get(at)?.subject ?? "") === id) sequences.push(at);
    }
    stream.remove(chance.pick(sequences));
  }

  private delete(name: string): void {
    const stream = this.js.streams.get(name);
    if (stream !== undefined) this.js.delete(stream);
  }
}
