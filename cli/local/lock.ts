// One supervisor per data folder.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SwainError } from "../../services/kernel/errors.ts";
import { makeFolder } from "../../services/kernel/node/folder.ts";
import { readRecord } from "./layout.ts";
import type { LocalPaths, ProcessMark } from "./layout.ts";
import { isAlive, markOf } from "./processes.ts";
import { strayServer } from "./stray.ts";

/**
 * Takes the folder for this process; throws ALREADY_RUNNING. The lock of a supervisor that is gone is taken over, unless a
 * server runs on the folder's store all the same.
 */
export function takeLock(paths: LocalPaths): ProcessMark {
  // Before anything is written: `run/` made anew by another user would be closed to the owner of what runs.
  const taken = whyTaken(paths);
  if (taken !== null) throw new SwainError("ALREADY_RUNNING", taken);
  return writeLock(paths);
}

/** Why the folder is not free, also where the lock is gone, as when `run/` was removed; null when it is. */
function whyTaken(paths: LocalPaths): string | null {
  // Having lost the lock, a supervisor that goes on writes its record again.
  const owners = [lockOwner(paths), readRecord(paths.data)?.supervisor ?? null];
  const owner = owners.find((mark) => mark !== null && isAlive(mark)) ?? null;
  if (owner !== null) return runsFrom(paths, owner);
  const stray = strayServer(paths);
  if (stray === null) return null;
  const by = stray.supervisor === null ? "" : `, started by supervisor ${stray.supervisor.pid}`;
  return `the nats-server of ${paths.data} runs (${stray.server.pid}${by}), though ${dirname(paths.lock)} does not tell of it`;
}

const runsFrom = ({ data }: LocalPaths, { pid }: ProcessMark): string =>
  `a cluster runs from ${data} (supervisor ${pid})`;

function writeLock(paths: LocalPaths): ProcessMark {
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
      throw new SwainError("ALREADY_RUNNING", runsFrom(paths, owner));
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
