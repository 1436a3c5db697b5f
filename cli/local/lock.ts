// One supervisor per data folder.
import { createHash } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  // Linked into its place, so that whoever finds a lock finds it whole.
  const draft = `${paths.lock}.${own.pid}`;
  let other: ProcessMark | null;
  try {
    rmSync(draft, { force: true });
    writeFileSync(draft, JSON.stringify(own), { flag: "wx", mode: 0o600 });
    other = hold(paths.lock, draft);
  } catch (error) {
    throw new SwainError("DISK_ERROR", `cannot write ${paths.lock}: ${String(error)}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
  if (other !== null) throw new SwainError("ALREADY_RUNNING", runsFrom(paths, other));
  return own;
}

/** Takes a lock with what the draft says. Returns who has it instead, null when this process has it now. */
function hold(lock: string, draft: string): ProcessMark | null {
  for (;;) {
    try {
      linkSync(draft, lock);
      return null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const other = clearStale(lock, draft);
    if (other !== null) return other;
  }
}

/**
 * Removes a lock whose owner is gone. Of several that find it only one may, or the next would remove what somebody has put in its
 * place: that one holds another lock, named after what the stale one says. Returns who lives and holds either.
 */
function clearStale(lock: string, draft: string): ProcessMark | null {
  const stale = textIn(lock);
  if (stale === null) return null;
  const owner = markFrom(stale);
  if (owner !== null && isAlive(owner)) return owner;
  const guard = `${lock}.${createHash("sha256").update(stale).digest("hex").slice(0, 16)}`;
  const other = hold(guard, draft);
  if (other !== null) return other;
  if (textIn(lock) === stale) rmSync(lock, { force: true });
  rmSync(guard, { force: true });
  return null;
}

/** Who holds the folder, by the lock's own account; null when nobody does. */
export function lockOwner(paths: LocalPaths): ProcessMark | null {
  try {
    return markFrom(readFileSync(paths.lock, "utf8"));
  } catch {
    return null;
  }
}

/** Gives the folder back; the lock of another, or of nobody, stays. */
export function dropLock(paths: LocalPaths, own: ProcessMark): void {
  const owner = lockOwner(paths);
  if (owner?.pid === own.pid && owner.start === own.start) rmSync(paths.lock, { force: true });
}

/** Null when there is none. */
function textIn(lock: string): string | null {
  try {
    return readFileSync(lock, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Null for what is no mark. */
function markFrom(text: string): ProcessMark | null {
  try {
    return JSON.parse(text) as ProcessMark;
  } catch {
    return null;
  }
}
