// Keeps the last known endpoints on disk, so that a proxy that is started while the bus is away serves them.
import type { Cancel, Clock } from "../kernel/clock.ts";
import type { Disk } from "../kernel/disk.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { proxyLimits } from "./limits.ts";
import type { SavedTable } from "./table.ts";

interface StorePorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Logger;
}

/** The file's content. `cluster` guards against a folder that served another one. */
interface Saved extends SavedTable {
  readonly cluster: string;
}

export class TableStore {
  private readonly ports: StorePorts;
  private readonly path: string;
  private readonly cluster: string;
  private readonly current: () => SavedTable;
  private scheduled: Cancel | null = null;
  private writing: Promise<void> = Promise.resolve();
  private dirty = false;
  private failedBefore = false;
  private isClosed = false;

  /** `current` gives what to write at the moment of writing. */
  constructor(ports: StorePorts, path: string, cluster: string, current: () => SavedTable) {
    this.ports = ports;
    this.path = path;
    this.cluster = cluster;
    this.current = current;
  }

  /** What was written last; undefined when there is nothing, or nothing that can be read. */
  async load(): Promise<SavedTable | undefined> {
    try {
      const text = await this.ports.disk.read(this.path);
      const saved: unknown = text === null ? undefined : JSON.parse(text);
      if (isSaved(saved) && saved.cluster === this.cluster) return saved;
      if (saved !== undefined) this.ports.log.warn("the saved endpoints are not of this cluster", { path: this.path });
    } catch (error) {
      this.ports.log.warn("the saved endpoints cannot be read", {
        path: this.path,
        error: asSwainError(error).message,
      });
    }
    return undefined;
  }

  /** Has the table written soon; many changes make one write. */
  changed(): void {
    this.dirty = true;
    this.writeIn(proxyLimits.saveMs);
  }

  /** Writes for the last time. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.scheduled?.();
    await this.flush();
  }

  private writeIn(ms: number): void {
    if (this.isClosed) return;
    this.scheduled ??= this.ports.clock.after(ms, () => {
      this.scheduled = null;
      void this.flush();
    });
  }

  /** Writes what has changed; an error is said, and it is tried again. */
  private flush(): Promise<void> {
    this.writing = this.writing.then(() => this.write());
    return this.writing;
  }

  private async write(): Promise<void> {
    if (!this.dirty) return;
    this.dirty = false;
    try {
      const saved: Saved = { cluster: this.cluster, ...this.current() };
      await this.ports.disk.writeAtomic(this.path, JSON.stringify(saved));
      this.failedBefore = false;
    } catch (error) {
      if (!this.failedBefore) {
        this.ports.log.warn("the endpoints cannot be saved", { path: this.path, error: asSwainError(error).message });
      }
      this.failedBefore = true;
      // No other change may come for days.
      this.dirty = true;
      this.writeIn(proxyLimits.saveAgainMs);
    }
  }
}

function isSaved(value: unknown): value is Saved {
  if (typeof value !== "object" || value === null) return false;
  const { cluster, logId, parts } = value as Partial<Record<keyof Saved, unknown>>;
  return (
    typeof cluster === "string" &&
    (logId === null || typeof logId === "string") &&
    Array.isArray(parts) &&
    parts.every((part: unknown) => Array.isArray(part) && typeof part[0] === "string" && typeof part[1] === "number")
  );
}
