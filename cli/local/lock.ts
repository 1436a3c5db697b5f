// One supervisor per data folder.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SwainError } from "../../services/kernel/errors.ts";
import { makeFolder } from "../../services/kernel/node/folder.ts";
import type { LocalPaths, ProcessMark } from "./layout.ts";
import { isAlive, markOf } from "./processes.ts";

/** Takes the folder for this process; throws ALREADY_RUNNING. The lock of a supervisor that is gone is taken over. */
export function takeLock(paths: LocalPaths): ProcessMark {
  const own = markOf(process.pid) ?? { pid: process.pid, start: "" };
  makeFolder(dirname(paths.lock));
  for (;;) {
    try {
      writeFileSync(paths.lock, JSON.stringify(own), { flag: "wx", mode: 0o600 });
      return own;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new SwainError("DISK_ERROR", `cannot write ${paths.lock}: ${String(error)}`, { cause: error });
      }
    }
    const owner = lockOwner(paths);
    if (owner !== null && isAlive(owner)) {
      throw new SwainError("ALREADY_RUNNING", `a cluster runs from ${paths.data} (supervisor ${owner.pid})`);
    }
    rmSync(paths.lock, { force: true });
  }
}

/** Who holds the folder, by the lock's own account; null when nobody does. */
export function lockOwner(paths: LocalPaths): ProcessMark | null {
  try {
    return JSON.parse(readFileSync(paths.lock, "utf8")) as ProcessMark;
  } catch {
    return null;
  }
}

export function dropLock(paths: LocalPaths): void {
  rmSync(paths.lock, { force: true });
}
