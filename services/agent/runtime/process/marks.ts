// When a process wrote what is in its output files. The program writes to the file itself, so no line has a time of its
// own; instead the file's length is noted each second with the time of its last change. A line's time is that of the first
// note that covers it: exact for a program that prints now and then, at most a second late for one that never rests.
import { appendFile, readFile, rename, rm, stat, writeFile } from "node:fs/promises";

/** At `time` (milliseconds since 1970) the file was so long; all of that was written by then. */
export interface Mark {
  readonly time: number;
  readonly size: number;
}

/** About three hours of a program that never rests; what is older is thinned out. */
const fineMarks = 10_000;

/** File systems take their time from the last tick of the kernel, which is at most so far back. */
const coarseMs = 10;

export const marksOf = (file: string): string => `${file}.marks`;

/** In order; empty when nothing is noted. */
export async function readMarks(file: string): Promise<Mark[]> {
  const text = await readFile(marksOf(file), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [time, size] = line.split(" ").map(Number);
    return time !== undefined && size !== undefined && size > 0 ? [{ time, size }] : [];
  });
}

export async function writeMarks(file: string, marks: readonly Mark[]): Promise<void> {
  const text = marks.map(({ time, size }) => `${time} ${size}\n`).join("");
  try {
    await writeFile(`${marksOf(file)}.new`, text, { mode: 0o600 });
    await rename(`${marksOf(file)}.new`, marksOf(file));
  } catch (error) {
    // Half of it would only take room of a disk that is full.
    await rm(`${marksOf(file)}.new`, { force: true }).catch(() => {});
    throw error;
  }
}

/** Notes the length of one file whenever it changed. */
export class FileMarks {
  private readonly file: string;
  private last: Mark | null = null;
  private count: number | null = null;

  constructor(file: string) {
    this.file = file;
  }

  /** Rejects when the file is gone. */
  async look(): Promise<void> {
    const { size, mtimeMs } = await stat(this.file);
    if (this.count === null) {
      const marks = await readMarks(this.file);
      this.count = marks.length;
      this.last = marks.at(-1) ?? null;
    }
    const before = this.last?.size ?? 0;
    if (size === before || size === 0) return;
    // The clock may have been set back; marks are in order all the same.
    const mark = { time: Math.max(Math.floor(mtimeMs), size > before ? (this.last?.time ?? 0) : 0), size };
    this.last = mark;
    this.count += 1;
    await appendFile(marksOf(this.file), `${mark.time} ${mark.size}\n`, { mode: 0o600 });
    if (this.count > 2 * fineMarks) await this.thin();
  }

  /** The file was cut: what it holds from now on is counted from its beginning. */
  forget(): void {
    this.last = null;
    this.count = null;
  }

  private async thin(): Promise<void> {
    const marks = await readMarks(this.file);
    const old = marks.slice(0, -fineMarks / 2).filter((_, index) => index % 4 === 3);
    const kept = [...old, ...marks.slice(-fineMarks / 2)];
    await writeMarks(this.file, kept);
    this.count = kept.length;
  }
}

/** When the byte before `end` was written: by the marks, else `latest`, the time of the file's last change. */
export function timeAt(marks: readonly Mark[], end: number, latest: number): number {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle] as Mark).size >= end) high = middle;
    else low = middle + 1;
  }
  return marks[low]?.time ?? latest;
}

/** Where what was written at `since` or later begins; undefined when all of the file is older. */
export function offsetSince(marks: readonly Mark[], since: number, latest: number): number | undefined {
  const from = since - coarseMs;
  if (latest < from) return undefined;
  return marks.findLast(({ time }) => time < from)?.size ?? 0;
}
