// Keeps the output files of processes small. The program holds its file open, so the file is not renamed: its newest
// part is copied aside and the file is cut to nothing. What is written between those two steps (microseconds) is lost.
import { open, rename, stat } from "node:fs/promises";
import { join } from "node:path";

/** Of each stream, one current and one older file. */
const mostBytes = 10 * 1024 * 1024;

/** Files are looked at this often; between two looks a file may grow past its bound. */
export const trimEvery = 10_000;

const outputFiles = ["stdout.log", "stderr.log"] as const;

/** Cuts what is too long. Never rejects: a file that is gone is short enough. */
export async function trimOutput(folder: string): Promise<void> {
  for (const name of outputFiles) await trim(join(folder, name)).catch(() => {});
}

async function trim(path: string): Promise<void> {
  const { size } = await stat(path);
  if (size <= mostBytes) return;
  const file = await open(path, "r+");
  try {
    const kept = Buffer.alloc(mostBytes);
    const { bytesRead } = await file.read(kept, 0, mostBytes, size - mostBytes);
    const older = await open(`${path}.new`, "w", 0o600);
    // The first line is cut somewhere in its middle.
    const from = size > mostBytes ? kept.indexOf("\n") + 1 : 0;
    try {
      await older.write(kept, from, bytesRead - from);
    } finally {
      await older.close();
    }
    await rename(`${path}.new`, `${path}.1`);
    await file.truncate(0);
  } finally {
    await file.close();
  }
}
