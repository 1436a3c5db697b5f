// A machine of the world: its network, its disk, and what runs on it besides Swain.
import type { Disk } from "../../../services/kernel/disk.ts";
import { SwainError } from "../../../services/kernel/errors.ts";
import { Link } from "../bus/link.ts";
import type { Run } from "./process.ts";

/** A synced write of a small file. */
const writeMs = 1.5;

export class Machine {
  readonly name: string;
  address: string;
  /** To the bus, one for each connection. */
  readonly links: Link[] = [];
  /** Machines that it cannot exchange packets with. */
  readonly cutFrom = new Set<Machine>();
  readonly files = new Map<string, string>();
  isDiskFull = false;
  /** Told of each file as it was written. */
  onWrite: (path: string, content: string) => void = () => {};

  constructor(name: string, address: string) {
    this.name = name;
    this.address = address;
  }

  link(): Link {
    const link = new Link();
    const [first] = this.links;
    // A new connection meets the network as it is.
    if (first !== undefined) {
      link.up = first.up;
      link.down = first.down;
      link.latencyMs = first.latencyMs;
      link.lagMs = first.lagMs;
      if (first.chances !== undefined) link.disturb(first.chances);
    }
    this.links.push(link);
    return link;
  }

  /** Cuts it off the bus, or off in one direction. */
  pass(directions: { readonly up: boolean; readonly down: boolean }): void {
    for (const link of this.links) {
      link.up = directions.up;
      link.down = directions.down;
    }
  }

  reaches(other: Machine): boolean {
    return !this.cutFrom.has(other) && !other.cutFrom.has(this);
  }

  /** Its files, as one run of a process sees them: what was written before its end is there for the next. */
  disk(run: Run): Disk {
    const { files } = this;
    return {
      read: (path) => run.call(0.1, 0.1, async () => files.get(path) ?? null),
      writeAtomic: (path, content) =>
        run.call(writeMs, 0.1, async () => {
          if (this.isDiskFull) throw new SwainError("DISK_ERROR", `no space left for ${path}`);
          files.set(path, content);
          this.onWrite(path, content);
        }),
      remove: (path) => run.call(0.1, 0.1, async () => void files.delete(path)),
      list: (folder) =>
        run.call(0.1, 0.1, async () =>
          [...files.keys()]
            .filter((path) => path.startsWith(`${folder}/`))
            .map((path) => path.slice(folder.length + 1))
            .sort(),
        ),
    };
  }
}
