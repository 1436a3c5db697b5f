// Takes all the room there is on a disk, and gives it back.
import { writeFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** Writes until nothing more fits on that disk. */
export function fill(disk: string): void {
  const block = Buffer.alloc(1 << 20);
  expect(() => {
    for (let size = 0; size < 800; size += 1) writeFileSync(join(disk, "fill"), block, { flag: "a" });
  }).toThrow(/ENOSPC/);
}

/** Removes what `fill` wrote. */
export function empty(disk: string): void {
  rmSync(join(disk, "fill"));
}
