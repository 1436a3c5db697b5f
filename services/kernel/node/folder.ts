// Makes folders with all that lead to them.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { SwainError } from "../errors.ts";

/**
 * Makes the folder and what is missing above it, for the owner alone (0700); one that is there is left as it is. Throws
 * DISK_ERROR. The system's own way to make them all never comes back below /proc, where a folder that is there has no room
 * for another.
 */
export function makeFolder(path: string): void {
  try {
    makeEach(path);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SwainError("DISK_ERROR", `cannot make the folder ${path}: ${message}`, { cause: error });
  }
}

function makeEach(path: string): void {
  if (make(path)) return;
  makeEach(dirname(path));
  // Its parent is there now: if it cannot be made all the same, no further try will help.
  mkdirSync(path, { mode: 0o700 });
}

/** False when the parent is missing. */
function make(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Whether it is a folder shows when something is put into it.
    if (code === "EEXIST") return true;
    if (code === "ENOENT" && dirname(path) !== path) return false;
    throw error;
  }
}
