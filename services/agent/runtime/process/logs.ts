// Reads the output files of a process: what is kept of them, then what is added.
import { watch } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "../../../kernel/clock.ts";
import type { LogOptions } from "../driver.ts";

type StreamName = "stdout" | "stderr";
type OnChunk = (stream: StreamName, text: string) => Promise<void>;

const chunkBytes = 64 * 1024;

/** The file system tells of changes, but may drop some under load; then they show this late. */
const lookAgainMs = 1000;

/**
 * Resolves when all is read (with follow: when `running` says no and all is read) or the signal aborts. The two streams
 * are files of their own: each keeps its order, and `tail` counts for each.
 */
export async function readOutput(
  folder: string,
  options: LogOptions,
  onChunk: OnChunk,
  parts: { readonly clock: Clock; readonly running: () => Promise<boolean> },
): Promise<void> {
  const readers = (["stdout", "stderr"] as const).map((name) => new OutputReader(join(folder, `${name}.log`), name));
  const changes = new Changes(folder, parts.clock, options.signal);
  try {
    for (const reader of readers) await reader.begin(options.tail, onChunk, options.signal);
    while (!options.signal.aborted) {
      // Asked first: what a process wrote before it was seen ended is then read below.
      const running = options.follow && (await parts.running());
      const change = changes.next();
      let moved = false;
      for (const reader of readers) moved = (await reader.pump(onChunk, options.signal)) || moved;
      if (!running && (!moved || !options.follow)) return;
      if (!moved) await change;
    }
  } finally {
    changes.close();
  }
}

/** One stream's file. */
class OutputReader {
  private readonly path: string;
  private readonly name: StreamName;
  private readonly decoder = new StringDecoder("utf8");
  private position = 0;

  constructor(path: string, name: StreamName) {
    this.path = path;
    this.name = name;
  }

  /** Hands over the older part, as far as `tail` reaches into it, and sets the position in the current one. */
  async begin(tail: number | undefined, onChunk: OnChunk, signal: AbortSignal): Promise<void> {
    const current = await lastLines(this.path, tail);
    this.position = current.offset;
    const missing = tail === undefined ? undefined : tail - current.lines;
    if (missing === 0) return;
    const older = await lastLines(`${this.path}.1`, missing);
    await this.copy(`${this.path}.1`, older.offset, onChunk, signal);
  }

  /** Hands over what is in the file now; false when that was nothing. */
  async pump(onChunk: OnChunk, signal: AbortSignal): Promise<boolean> {
    const size = await sizeOf(this.path);
    // It was cut: everything in it is new.
    if (size < this.position) this.position = 0;
    const from = this.position;
    this.position = await this.copy(this.path, from, onChunk, signal, size);
    return this.position > from;
  }

  /** Returns the position reached. */
  private async copy(
    path: string,
    from: number,
    onChunk: OnChunk,
    signal: AbortSignal,
    end = Infinity,
  ): Promise<number> {
    const file = await openOrNull(path);
    if (!file) return from;
    try {
      let at = from;
      while (at < end && !signal.aborted) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(chunkBytes, end - at)), 0, undefined, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        const text = this.decoder.write(buffer.subarray(0, bytesRead));
        if (text !== "") await onChunk(this.name, text);
      }
      return at;
    } finally {
      await file.close();
    }
  }
}

/** Where the last `count` lines begin (all when undefined), and how many there are of them. */
async function lastLines(path: string, count: number | undefined): Promise<{ offset: number; lines: number }> {
  const file = count === undefined ? null : await openOrNull(path);
  if (!file || count === undefined) return { offset: 0, lines: 0 };
  try {
    let { size: end } = await file.stat();
    if (count <= 0) return { offset: end, lines: count };
    let lines = 0;
    const size = end;
    while (end > 0) {
      const from = Math.max(0, end - chunkBytes);
      const { buffer } = await file.read(Buffer.alloc(end - from), 0, undefined, from);
      for (let index = buffer.length - 1; index >= 0; index -= 1) {
        // The end of line that ends the file begins no other line.
        if (buffer[index] !== 10 || from + index === size - 1) continue;
        lines += 1;
        if (lines === count) return { offset: from + index + 1, lines };
      }
      end = from;
    }
    return { offset: 0, lines: size === 0 ? 0 : lines + 1 };
  } finally {
    await file.close();
  }
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

const openOrNull = (path: string): Promise<FileHandle | null> => open(path, "r").catch(() => null);

/** Waits for the next change in the folder. */
class Changes {
  private readonly clock: Clock;
  private readonly signal: AbortSignal;
  private readonly stop: () => void;
  private wake: () => void = () => {};

  constructor(folder: string, clock: Clock, signal: AbortSignal) {
    this.clock = clock;
    this.signal = signal;
    this.stop = watchFolder(folder, () => this.wake());
  }

  /** Resolves at the first change after this call, when the signal aborts, or after a second. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.clock.after(lookAgainMs, done);
      this.signal.addEventListener("abort", done, { once: true });
      this.wake = done;
    });
  }

  close(): void {
    this.wake();
    this.stop();
  }
}

/** Tells of changes in a folder as well as the system can; returns the end of it. */
export function watchFolder(folder: string, onChange: () => void): () => void {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    // The folder was removed, or the system has no more watches: whoever waits also looks by itself.
    watcher.on("error", () => {});
    return () => watcher.close();
  } catch {
    return () => {};
  }
}
