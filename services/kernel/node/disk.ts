// The machine's files, for real processes.
import { randomBytes } from "node:crypto";
import { open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Disk } from "../disk.ts";
import { SwainError } from "../errors.ts";
import { makeFolder } from "./folder.ts";

/** Files of this machine. */
export const systemDisk: Disk = {
  async read(path: string): Promise<string | null> {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (isAbsent(error)) return null;
      throw failed("read", path, error);
    }
  },

  async writeAtomic(path: string, content: string): Promise<void> {
    // The name differs on every write: two writers of one path never share a half-written file.
    const draft = `${path}.${randomBytes(6).toString("hex")}.tmp`;
    try {
      makeFolder(dirname(path));
      const file = await open(draft, "wx", 0o600);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(draft, { force: true }).catch(() => {});
      throw failed("write", path, error);
    }
  },

  async remove(path: string): Promise<void> {
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw failed("remove", path, error);
    }
  },

  async list(folder: string): Promise<string[]> {
    try {
      return (await readdir(folder)).toSorted();
    } catch (error) {
      if (isAbsent(error)) return [];
      throw failed("list", folder, error);
    }
  },
};

/** What `writeAtomic` calls a file until it is written. */
const draftName = /\.[0-9a-f]{12}\.tmp$/;

/** A draft is there for some milliseconds; one that is older is of a process that was killed, not of one beside us. */
const oldDraftMs = 60_000;

/** Removes what processes left in the folder that were killed while they wrote. A process does so to its own at its start. */
export async function removeDrafts(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((name) => draftName.test(name))) {
    const path = join(folder, name);
    try {
      if (Date.now() - (await stat(path)).mtimeMs > oldDraftMs) await rm(path, { force: true });
    } catch {
      // Somebody else's, or gone already: neither is in the way.
    }
  }
}

/** A rename survives a power cut only when its folder was synced too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

function failed(what: string, path: string, error: unknown): SwainError {
  const message = error instanceof Error ? error.message : String(error);
  return new SwainError("DISK_ERROR", `cannot ${what} ${path}: ${message}`, { cause: error });
}
