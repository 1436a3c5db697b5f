// Reads the output files of a process: what is kept of them, then what is added.
import { watch } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "../../../kernel/clock.ts";
import type { LogOptions } from "../driver.ts";
import { piecesOf } from "../output.ts";
import type { OnOutput } from "../output.ts";
import { offsetSince, readMarks, timeAt } from "./marks.ts";
import type { Mark } from "./marks.ts";
import { outputFiles } from "./output.ts";

const chunkBytes = 64 * 1024;

/** The file system tells of changes, but may drop some under load; then they show this late. */
const lookAgainMs = 1000;

/**
 * Resolves when all is read (with follow: when `running` says no and all is read) or the signal aborts. `folders` are those
 * of the runs, the newest last; only that one is followed. The two streams are files of their own: each keeps its order,
 * and `tail` counts for each.
 */
export async function readOutput(
  folders: readonly string[],
  options: LogOptions,
  onOutput: OnOutput,
  parts: { readonly clock: Clock; readonly running: () => Promise<boolean> },
): Promise<void> {
  const readers = outputFiles.map((name) => new OutputReader(folders.map((folder) => join(folder, name))));
  const changes = new Changes(folders.at(-1) ?? "", parts.clock, options.signal);
  try {
    for (const reader of readers) await reader.begin(options, onOutput);
    while (!options.signal.aborted) {
      // Asked first: what a process wrote before it was seen ended is then read below.
      const running = options.follow && (await parts.running());
      const change = changes.next();
      let moved = false;
      for (const reader of readers) moved = (await reader.pump(onOutput, options.signal)) || moved;
      if (!running && (!moved || !options.follow)) return;
      if (!moved) await change;
    }
  } finally {
    changes.close();
  }
}

/** One stream. */
class OutputReader {
  private readonly path: string;
  private readonly older: readonly string[];
  private readonly name: "stdout" | "stderr";
  private readonly decoder = new StringDecoder("utf8");
  private position = 0;
  private marks: readonly Mark[] = [];

  /** `paths` are the stream's files of each run, the newest last. */
  constructor(paths: readonly string[]) {
    this.path = paths.at(-1) ?? "";
    this.name = this.path.endsWith("stderr.log") ? "stderr" : "stdout";
    this.older = paths.flatMap((path) => [`${path}.1`, path]).slice(0, -1);
  }

  /** Hands over the older parts, as far as the options reach into them, and sets the position in the current one. */
  async begin({ tail, since, signal }: LogOptions, onOutput: OnOutput): Promise<void> {
    let missing = tail;
    const froms: number[] = [];
    for (const path of [...this.older, this.path].reverse()) {
      const { offset, lines } = await lastLines(path, missing);
      if (missing !== undefined) missing = Math.max(0, missing - lines);
      froms.unshift(since === undefined ? offset : Math.max(offset, await beginOf(path, since)));
    }
    for (const [index, path] of this.older.entries()) {
      this.marks = await readMarks(path);
      await this.copy(path, froms[index] ?? 0, onOutput, signal);
    }
    this.marks = await readMarks(this.path);
    this.position = froms.at(-1) ?? 0;
  }

  /** Hands over what is in the file now; false when that was nothing. */
  async pump(onOutput: OnOutput, signal: AbortSignal): Promise<boolean> {
    const size = await sizeOf(this.path);
    if (size < this.position) {
      // It was cut: everything in it is new, and its marks told of what is gone.
      this.position = 0;
      this.marks = [];
    }
    const from = this.position;
    this.position = await this.copy(this.path, from, onOutput, signal, size);
    return this.position > from;
  }

  /** Returns the position reached. */
  private async copy(
    path: string,
    from: number,
    onOutput: OnOutput,
    signal: AbortSignal,
    end = Infinity,
  ): Promise<number> {
    const file = from < end ? await openOrNull(path) : null;
    if (!file) return from;
    try {
      const latest = Math.floor((await file.stat()).mtimeMs);
      let at = from;
      while (at < end && !signal.aborted) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(chunkBytes, end - at)), 0, undefined, at);
        if (bytesRead === 0) break;
        const bytes = buffer.subarray(0, bytesRead);
        const text = this.decoder.write(bytes);
        const times = timesOf(bytes, at, this.marks, latest);
        at += bytesRead;
        // A character may be cut at the end; its piece then comes with the next chunk.
        if (text !== "") await onOutput(this.name, text, times.slice(0, piecesOf(text)));
      }
      return at;
    } finally {
      await file.close();
    }
  }
}

/** The time of each piece of the bytes, which begin at that offset of the file. */
function timesOf(bytes: Buffer, offset: number, marks: readonly Mark[], latest: number): number[] {
  const times: number[] = [];
  for (let from = 0; from < bytes.length;) {
    const feed = bytes.indexOf(10, from);
    from = feed === -1 ? bytes.length : feed + 1;
    times.push(timeAt(marks, offset + from, latest));
  }
  return times;
}

/** Where what was written since then begins; beyond the end when nothing was. */
async function beginOf(path: string, since: number): Promise<number> {
  const found = await stat(path).catch(() => null);
  if (found === null) return 0;
  return offsetSince(await readMarks(path), since, found.mtimeMs) ?? found.size;
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

  /** Resolves at the first change after this call, when the signal aborts, or after a second. An earlier wait ends with it. */
  next(): Promise<void> {
    this.wake();
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
