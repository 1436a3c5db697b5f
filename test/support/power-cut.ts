// What a power cut may leave of a folder at worst: files as they were when they were synced, under the names that their
// folder had when it was synced. A name whose file was not synced is there, and empty.
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join, relative } from "node:path";

export class PowerCut {
  private readonly contents = new Map<number, Buffer>();
  private readonly folders = new Map<string, ReadonlyMap<string, number>>();
  private restore: () => void = () => {};

  /** Notes what this process syncs from now on, until `end`. */
  static async watch(): Promise<PowerCut> {
    const cut = new PowerCut();
    const handle = await open(import.meta.filename, "r");
    const kind = Object.getPrototypeOf(handle) as { sync: (this: FileHandle) => Promise<void> };
    await handle.close();
    const { sync } = kind;
    kind.sync = async function (this: FileHandle): Promise<void> {
      await sync.call(this);
      cut.note(readlinkSync(`/proc/self/fd/${this.fd}`));
    };
    cut.restore = () => {
      kind.sync = sync;
    };
    return cut;
  }

  end(): void {
    this.restore();
  }

  /** Writes what is left of the folder into another. */
  leave(folder: string, to: string): void {
    for (const [path, names] of this.folders) {
      if (relative(folder, path).startsWith("..")) continue;
      const target = join(to, relative(folder, path));
      mkdirSync(target, { recursive: true, mode: 0o700 });
      for (const [name, inode] of names) {
        writeFileSync(join(target, name), this.contents.get(inode) ?? "", { mode: 0o600 });
      }
    }
  }

  private note(path: string): void {
    const stat = statSync(path);
    if (!stat.isDirectory()) {
      this.contents.set(stat.ino, readFileSync(path));
      return;
    }
    const files = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile());
    this.folders.set(path, new Map(files.map(({ name }) => [name, statSync(join(path, name)).ino])));
  }
}
