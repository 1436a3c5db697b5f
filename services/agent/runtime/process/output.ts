// Keeps the output files of running processes: notes when they grow, and keeps them small. The program holds its file
// open, so the file is not renamed: its newest part is copied aside, then what came meanwhile, and the file is cut to nothing.
// What is written between the last read and the cut (microseconds) is lost.
import { appendFileSync, fstatSync, ftruncateSync, readSync } from "node:fs";
import { appendFile, open, rename, rm, stat, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { FileMarks, marksOf, readMarks, writeMarks } from "./marks.ts";

/** Of each stream, one current and one older file. */
const mostBytes = 10 * 1024 * 1024;

/** Files are looked at this often, milliseconds; between two looks a file may grow past its bound. */
const lookEvery = 1000;

/** What came while the newest part was copied is read in pieces of this size; one of them takes no time to speak of. */
const restBytes = 256 * 1024;

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
          // A full disk may have no room for a mark, but the cut makes some.
          const noted = marks.look();
          await noted.catch(() => {});
          if (await trim(file)) marks.forget();
          await noted;
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

/** Throws the error again unless it says that there is no room. */
function unlessFull(error: unknown): void {
  if (!["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
}

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
    await keepNewest(file, path, size);
    // They tell of what is cut now. To remove them takes no room.
    await rm(marksOf(path), { force: true });
    await keepRest(file, path, size).catch(unlessFull);
    ftruncateSync(file.fd);
    return true;
  } finally {
    await file.close();
  }
}

/**
 * Puts the newest part in the place of what was kept before. Where there is no room for both the old one goes first, and where there
 * is none then nothing is kept: output that is never cut would keep the disk full.
 */
async function keepNewest(file: FileHandle, path: string, size: number): Promise<void> {
  try {
    await copyNewest(file, path, size);
  } catch (error) {
    unlessFull(error);
    await rm(marksOf(`${path}.1`), { force: true });
    await rm(`${path}.1`, { force: true });
    await copyNewest(file, path, size).catch(unlessFull);
  }
}

async function copyNewest(file: FileHandle, path: string, size: number): Promise<void> {
  const kept = Buffer.alloc(mostBytes);
  const { bytesRead } = await file.read(kept, 0, mostBytes, size - mostBytes);
  // The first line is cut somewhere in its middle.
  const from = kept.indexOf("\n") + 1;
  const begin = size - mostBytes + from;
  const marks = (await readMarks(path)).map(({ time, size }) => ({ time, size: size - begin }));
  try {
    // All of it, or an error: what did not fit would be lost.
    await writeFile(`${path}.new`, kept.subarray(from, bytesRead), { mode: 0o600 });
    await writeMarks(
      `${path}.1`,
      marks.filter(({ size }) => size > 0),
    );
    await rename(`${path}.new`, `${path}.1`);
  } catch (error) {
    await rm(`${path}.new`, { force: true }).catch(() => {});
    throw error;
  }
}

/** Adds what was written since the file had that size; the last of it in one step, so that nothing more comes before the cut. */
async function keepRest(file: FileHandle, path: string, size: number): Promise<void> {
  const rest = Buffer.alloc(restBytes);
  let at = size;
  // A program that writes faster than this reads would hold it here for ever.
  const most = size + mostBytes;
  while (at + restBytes < fstatSync(file.fd).size && at < most) {
    const { bytesRead } = await file.read(rest, 0, restBytes, at);
    await appendFile(`${path}.1`, rest.subarray(0, bytesRead), { mode: 0o600 });
    at += bytesRead;
  }
  for (let read = -1; read !== 0 && at < most; at += read) {
    read = readSync(file.fd, rest, 0, restBytes, at);
    if (read > 0) appendFileSync(`${path}.1`, rest.subarray(0, read), { mode: 0o600 });
  }
}
