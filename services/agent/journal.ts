// The agent's memory on disk: what it was told and what it counted, so that pods survive a reboot without the bus.
// The assignment is written before it is acted on; the records follow the pods and may be a moment behind.
import type { AssignedPod } from "../../schemas/generated/types.ts";
import type { Key } from "../core/model.ts";
import { keyOf } from "../core/model.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import type { Disk } from "../kernel/disk.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { SwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { bounds } from "./bounds.ts";
import type { Held } from "./assignment.ts";
import { nothingHeld } from "./assignment.ts";
import type { Meter } from "./figures.ts";
import type { KeptRecord } from "./pod/record.ts";

interface AssignmentFile {
  readonly schema: 1;
  readonly logId: string;
  readonly clusterUid: string;
  /** Missing in files of early versions. */
  readonly epoch?: number;
  readonly term?: string;
  readonly generation: number;
  readonly items: readonly AssignedPod[];
}

interface RecordsFile {
  readonly schema: 1;
  readonly logId: string;
  /** Name and version of the engine when it last answered. */
  readonly engine: string;
  readonly records: Readonly<Record<Key, KeptRecord>>;
}

type FileName = "assignment.json" | "pods.json";

export interface Remembered {
  readonly held: Held;
  readonly engine: string;
  readonly records: ReadonlyMap<Key, KeptRecord>;
}

export class Journal {
  private readonly disk: Disk;
  private readonly folder: string | null;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly meter: Meter;
  private records: () => Omit<RecordsFile, "schema"> = () => ({ logId: "", engine: "", records: {} });
  /** Counts the wishes to write; `written` is the last one that is served. */
  private wanted = 0;
  private written = 0;
  /** The last one that is on disk. */
  private saved = 0;
  private writing: Promise<void> | null = null;
  private timer: Cancel | null = null;
  /** Files that could not be written when that was last tried: since when (monotonic), and why. */
  private readonly failing = new Map<FileName, { readonly since: number; readonly error: SwainError }>();
  private isClosed = false;

  /** Without a folder nothing is kept. */
  constructor(disk: Disk, folder: string | null, clock: Clock, log: Logger, meter: Meter) {
    this.disk = disk;
    this.folder = folder;
    this.clock = clock;
    this.log = log;
    this.meter = meter;
  }

  /** Reads what the agent knew before it ended. A file that is damaged counts as missing, and the log says so. */
  async read(): Promise<Remembered> {
    const assignment = await this.parse<AssignmentFile>("assignment.json");
    const kept = await this.parse<RecordsFile>("pods.json");
    const engine = kept?.engine ?? "";
    if (assignment === null) return { held: nothingHeld, engine, records: new Map() };
    const { logId, clusterUid, epoch = 0, term = "", generation } = assignment;
    const items = new Map(assignment.items.map((item) => [keyOf(item.namespace, item.name), item]));
    const records = new Map(kept !== null && kept.logId === logId ? Object.entries(kept.records) : []);
    return { held: { logId, clusterUid, epoch, term, generation, items }, engine, records };
  }

  /** Why nothing can be written, once that lasts: until then nothing new is taken on. Null while all is well. */
  lastingTrouble(): SwainError | null {
    const long = this.clock.mono() - bounds.troubleMs;
    for (const { since, error } of this.failing.values()) if (since <= long) return error;
    return null;
  }

  /** Resolves when the assignment is safely on disk. Rejects with DISK_ERROR. */
  async writeAssignment(held: Held): Promise<void> {
    if (this.folder === null) return;
    const { items, ...chain } = held;
    const file: AssignmentFile = { schema: 1, ...chain, items: [...items.values()] };
    await this.write("assignment.json", file);
  }

  /** Where the records are taken from when they are written. */
  source(records: () => Omit<RecordsFile, "schema">): void {
    this.records = records;
  }

  /**
   * Resolves when the records, as they are now or newer, are on disk, or with false when they could not be written. One write
   * runs at a time.
   */
  async saveRecords(): Promise<boolean> {
    if (this.folder === null) return true;
    this.timer?.();
    this.timer = null;
    this.wanted += 1;
    const ticket = this.wanted;
    while (this.written < ticket) {
      this.writing ??= this.writeOnce();
      await this.writing;
    }
    return this.saved >= ticket;
  }

  /** Has the records written in a moment, together with what else changes until then. */
  saveSoon(): void {
    if (this.folder === null) return;
    this.saveIn(this.failing.has("pods.json") ? bounds.journalRetryMs : bounds.journalGatherMs);
  }

  /** Writes the records for the last time. */
  async close(): Promise<void> {
    this.isClosed = true;
    await this.saveRecords();
  }

  private saveIn(ms: number): void {
    if (this.isClosed) return;
    this.timer ??= this.clock.after(ms, () => {
      this.timer = null;
      void this.saveRecords();
    });
  }

  private async writeOnce(): Promise<void> {
    const ticket = this.wanted;
    const isNews = !this.failing.has("pods.json");
    try {
      const file: RecordsFile = { schema: 1, ...this.records() };
      await this.write("pods.json", file);
      this.saved = ticket;
    } catch (error) {
      const { code, message } = asSwainError(error);
      // Once is enough: the node goes on saying so until it is over.
      if (isNews) this.log.error("could not write the journal", { code, message });
      this.saveIn(bounds.journalRetryMs);
    } finally {
      this.written = ticket;
      this.writing = null;
    }
  }

  private async write(name: FileName, file: AssignmentFile | RecordsFile): Promise<void> {
    try {
      await this.disk.writeAtomic(this.path(name), JSON.stringify(file));
      this.meter.journalWrites += 1;
      this.failing.delete(name);
    } catch (error) {
      this.meter.journalErrors += 1;
      const since = this.failing.get(name)?.since ?? this.clock.mono();
      this.failing.set(name, { since, error: asSwainError(error) });
      throw error;
    }
  }

  private path(name: FileName): string {
    return `${this.folder ?? ""}/${name}`;
  }

  private async parse<T extends { readonly schema: 1 }>(name: FileName): Promise<T | null> {
    if (this.folder === null) return null;
    const text = await this.disk.read(this.path(name));
    if (text === null) return null;
    try {
      const value = JSON.parse(text) as T;
      if (value.schema === 1) return value;
    } catch {
      // Reported below like a file of an unknown schema.
    }
    this.log.error("the journal cannot be read and is not used", { file: this.path(name) });
    return null;
  }
}
