// Keys whose projection must be written: each once, the bucket that is waited for first, the longest waiting first.
import type { BucketName } from "../../bus/subjects.ts";
import { bucketOrder } from "../../bus/subjects.ts";

export interface DirtyKey {
  readonly bucket: BucketName;
  readonly key: string;
  /** When it was first marked; a write that failed changes nothing about it. */
  readonly since: number;
}

export class Dirty {
  /** Per bucket: key → when it was first marked. In the order in which they are to be written. */
  private readonly marked = new Map<BucketName, Map<string, number>>(bucketOrder.map((bucket) => [bucket, new Map()]));
  /** Keys being written now, likewise: they wait for their write to end. */
  private readonly writing = new Map<BucketName, Map<string, number>>(bucketOrder.map((bucket) => [bucket, new Map()]));

  mark(bucket: BucketName, key: string, now: number): void {
    const keys = this.marked.get(bucket);
    // A key whose write failed may be marked anew already: it has waited since before that.
    if (keys !== undefined && now < (keys.get(key) ?? Infinity)) keys.set(key, now);
  }

  isMarked(bucket: BucketName, key: string): boolean {
    return this.marked.get(bucket)?.has(key) === true;
  }

  isWriting(bucket: BucketName, key: string): boolean {
    return this.writing.get(bucket)?.has(key) === true;
  }

  /** The next key that may be written, taken out of the set; undefined when there is none. */
  take(allowed: (bucket: BucketName) => boolean): DirtyKey | undefined {
    for (const bucket of bucketOrder) {
      if (!allowed(bucket)) continue;
      const keys = this.marked.get(bucket);
      const writing = this.writing.get(bucket);
      for (const [key, since] of keys ?? []) {
        if (writing?.has(key) === true) continue;
        keys?.delete(key);
        writing?.set(key, since);
        return { bucket, key, since };
      }
    }
    return undefined;
  }

  /** The write of a taken key ended. */
  release({ bucket, key }: DirtyKey): void {
    this.writing.get(bucket)?.delete(key);
  }

  /** Keys that wait or are being written. */
  get size(): number {
    let size = 0;
    for (const keys of this.marked.values()) size += keys.size;
    for (const keys of this.writing.values()) size += keys.size;
    return size;
  }

  /** Keys of the bucket that have waited since before that time, those being written as well. */
  olderThan(bucket: BucketName, time: number): string[] {
    const all = [...(this.marked.get(bucket) ?? []), ...(this.writing.get(bucket) ?? [])];
    return all.filter(([, since]) => since < time).map(([key]) => key);
  }

  /** Milliseconds the longest waiting key has waited. */
  oldestMs(now: number): number {
    let oldest = now;
    for (const keys of this.marked.values()) {
      for (const since of keys.values()) oldest = Math.min(oldest, since);
    }
    return now - oldest;
  }
}
