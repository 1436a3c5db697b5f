// Keeps the output files of running processes: notes when they grow, and keeps them small. The program holds its file
// open, so the file is not renamed: its newest part is copied aside and the file is cut to nothing. What is written between
// those two steps (microseconds) is lost.
import { open, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { FileMarks, readMarks, writeMarks } from "./marks.ts";

/** Of each stream, one current and one older file. */
const mostBytes = 10 * 1024 * 1024;

/** Files are looked at this often, milliseconds; between two looks a file may grow past its bound. */
const lookEvery = 1000;

export const outputFiles = ["stdout.log", "stderr.log"] as const;

/** Looks after the output of the runs it is told of. */
export class OutputKeeper {
  /** By run folder. */
  private readonly runs = new Map<string, Map<string, FileMarks>>();
  private readonly cancel: Cancel;
  private looking: Promise<void> | null = null;

  constructor(clock: Clock) {
    this.cancel = clock.every(lookEvery, () => {
      this.looking ??= this.look().finally(() => {
        this.looking = null;
      });
    });
  }

  keep(runFolder: string): void {
    const files = outputFiles.map((name) => join(runFolder, name));
    if (!this.runs.has(runFolder)) this.runs.set(runFolder, new Map(files.map((file) => [file, new FileMarks(file)])));
  }

  /** The run ended: its last lines are noted, and it is looked at no more. */
  async ended(runFolder: string): Promise<void> {
    const files = this.runs.get(runFolder);
    this.runs.delete(runFolder);
    await this.looking;
    for (const marks of files?.values() ?? []) await marks.look().catch(() => {});
  }

  close(): void {
    this.cancel();
    this.runs.clear();
  }

  private async look(): Promise<void> {
    for (const [folder, files] of this.runs) {
      for (const [file, marks] of files) {
        try {
          await marks.look();
          if (await trim(file)) marks.forget();
        } catch {
          // Where its folder is gone so is the run. Anything else, as a full disk, may be over at the next look.
          if (await isGone(folder)) this.runs.delete(folder);
        }
      }
    }
  }
}

const isGone = (path: string): Promise<boolean> =>
  stat(path).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === "ENOENT",
  );

/** Cuts what is too long in a run's folder. Never rejects: a file that is gone is short enough. */
export async function trimOutput(folder: string): Promise<void> {
  for (const name of outputFiles) await trim(join(folder, name)).catch(() => {});
}

/** True when it was cut. */
async function trim(path: string): Promise<boolean> {
  const { size } = await stat(path);
  if (size <= mostBytes) return false;
  const file = await open(path, "r+");
  try {
    const kept = Buffer.alloc(mostBytes);
    const { bytesRead } = await file.read(kept, 0, mostBytes, size - mostBytes);
    const older = await open(`${path}.new`, "w", 0o600);
    // The first line is cut somewhere in its middle.
    const from = kept.indexOf("\n") + 1;
    try {
      // All of it, or an error: what did not fit would be lost.
      await older.writeFile(kept.subarray(from, bytesRead));
    } finally {
      await older.close();
    }
    const begin = size - mostBytes + from;
    const marks = (await readMarks(path)).map(({ time, size }) => ({ time, size: size - begin }));
    await writeMarks(
      `${path}.1`,
      marks.filter(({ size }) => size > 0),
    );
    await rename(`${path}.new`, `${path}.1`);
    await writeMarks(path, []);
    await file.truncate(0);
    return true;
  } finally {
    await file.close();
  }
}
