// Log files of the started processes. Each process writes its file itself, so that its lines are kept also when the
// supervisor is gone; the supervisor only keeps the files from growing for ever.
import { closeSync, openSync } from "node:fs";
import { copyFile, open, stat, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder } from "../../services/kernel/node/folder.ts";

/** One older file is kept beside each, so a process never takes more than twice this. */
const rotateBytes = 10 * 1024 * 1024;

/** Opens a log for appending; the caller closes the descriptor. Also its size, which is where new lines begin. */
export async function openLog(path: string): Promise<{ descriptor: number; from: number }> {
  makeFolder(dirname(path));
  const descriptor = openSync(path, "a", 0o600);
  try {
    return { descriptor, from: (await stat(path)).size };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** The text of a file from a place on, at most 64 KiB from its end; empty when it is not there. */
export async function readFrom(path: string, from: number): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      // A file that was cut meanwhile is read from its start.
      const start = Math.max(size < from ? 0 : from, size - 64 * 1024);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    return "";
  }
}

/** The last lines of a log, for an error message. */
export async function lastLines(path: string, count: number, from = 0): Promise<string[]> {
  const lines = (await readFrom(path, from)).split("\n").filter((line) => line.trim() !== "");
  return lines.slice(-count);
}

/** Moves a large log aside. The writer appends, so it goes on at the new start of the same file. */
export async function rotate(path: string): Promise<void> {
  try {
    if ((await stat(path)).size < rotateBytes) return;
    await copyFile(path, `${path}.1`);
    await truncate(path);
  } catch {
    // Not there yet, or no space left: the next round tries again.
  }
}
