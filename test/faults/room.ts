// Takes all the room there is on a disk, and gives it back.
import { rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";

/** Writes until nothing more fits on that disk, and lets this process ask and watch meanwhile. */
export async function fill(disk: string): Promise<void> {
  const block = Buffer.alloc(1 << 20);
  const write = async (): Promise<void> => {
    for (let size = 0; size < 800; size += 1) await writeFile(join(disk, "fill"), block, { flag: "a" });
  };
  await expect(write()).rejects.toThrow(/ENOSPC/);
}

/** Removes what `fill` wrote. */
export function empty(disk: string): void {
  rmSync(join(disk, "fill"));
}
