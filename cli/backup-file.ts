// The file of `swain backup`: JSON lines. The first says what it is of; of a log that was cut the lines of a snapshot follow;
// each further one holds a record, the last one the SHA-256 of all lines before it.
import { createHash, randomBytes } from "node:crypto";
import { closeSync, createReadStream, existsSync, fsyncSync, linkSync, openSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { SavedPart, SavedRecord } from "../services/controller/restore.ts";
import { SwainError } from "../services/kernel/errors.ts";

export interface BackupHeader {
  readonly swain: "backup";
  /** Of this file's form: 2 when it begins with a snapshot, which older versions do not know. */
  readonly format: 1 | 2;
  readonly cluster: string;
  readonly clusterUid: string;
  readonly logId: string;
  /** Last sequence of the log. */
  readonly sequence: number;
  readonly version: string;
  /** When it was made. */
  readonly time: string;
}

/** Writes a backup beside its final place and moves it there when it is whole and on disk. */
export class BackupWriter {
  private readonly path: string;
  private readonly partial: string;
  private readonly file: number;
  private readonly hash = createHash("sha256");
  records = 0;

  /** Throws DISK_ERROR, and INVALID_ARGUMENT when the file is there already: an earlier backup is never overwritten. */
  constructor(path: string, header: BackupHeader) {
    this.path = path;
    // Of its own: another backup of that name may be under way.
    this.partial = `${path}.${randomBytes(4).toString("hex")}.partial`;
    if (existsSync(path)) throw taken(path);
    this.file = attempt(() => openSync(this.partial, "wx", 0o600));
    this.line(header);
  }

  /** A line of the snapshot; before all records. */
  addLine(line: string): void {
    this.text(`{"snapshot":${line}}`);
  }

  add({ sequence, subject, data }: SavedRecord): void {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
    const isText = Buffer.from(text).equals(data);
    const body = isText ? { text } : { base64: Buffer.from(data).toString("base64") };
    this.line({ sequence, subject, ...body });
    this.records++;
  }

  /** Reads back what is on disk, then gives it its name. Throws BACKUP_BROKEN, INVALID_ARGUMENT when another took the name, or DISK_ERROR. */
  async finish(): Promise<void> {
    const sha256 = this.hash.copy().digest("hex");
    this.line({ sha256 });
    attempt(() => {
      fsyncSync(this.file);
      closeSync(this.file);
    });
    await checkBackup(this.partial);
    if (existsSync(this.path)) throw taken(this.path);
    attempt(() => {
      // Unlike a rename this never replaces a file that came meanwhile.
      linkSync(this.partial, this.path);
      rmSync(this.partial);
      // Until then a power cut may take the name.
      const folder = openSync(dirname(this.path), "r");
      fsyncSync(folder);
      closeSync(folder);
    });
  }

  /** Leaves nothing behind. */
  abandon(): void {
    rmSync(this.partial, { force: true });
  }

  private line(value: object): void {
    this.text(JSON.stringify(value));
  }

  private text(text: string): void {
    const line = `${text}\n`;
    this.hash.update(line);
    // Unlike writeSync this goes on after a part, which is all that a disk takes just before it is full.
    attempt(() => writeFileSync(this.file, line));
  }
}

/** Checks the whole file and gives its header. Throws BACKUP_BROKEN with the line, or DISK_ERROR. */
export async function checkBackup(path: string): Promise<BackupHeader> {
  if (!existsSync(path)) throw new SwainError("INVALID_ARGUMENT", `there is no file ${path}`);
  const hash = createHash("sha256");
  let header: BackupHeader | undefined;
  let before = 0;
  let number = 0;
  let isOver = false;
  for await (const line of linesOf(path)) {
    number++;
    if (isOver) throw broken(path, number, "there is something after the end");
    const value = parsed(path, number, line);
    if (typeof value["sha256"] === "string") {
      if (value["sha256"] !== hash.digest("hex")) throw broken(path, number, "its content is not what was written");
      isOver = true;
      continue;
    }
    hash.update(`${line}\n`);
    if (header === undefined) header = headerOf(path, value);
    else if (value["snapshot"] !== undefined) {
      if (header.format === 1 || before > 0) throw broken(path, number, "a snapshot is not expected here");
    } else {
      const { sequence } = recordOf(path, number, value);
      if (sequence <= before) throw broken(path, number, "its sequences do not go up");
      before = sequence;
    }
  }
  if (header === undefined || !isOver) throw broken(path, number, "its end is missing");
  if (before !== header.sequence) throw broken(path, number, `it ends at ${before}, not at ${header.sequence}`);
  return header;
}

/** What a file that was checked holds. */
export async function* partsOf(path: string): AsyncGenerator<SavedPart> {
  let number = 0;
  for await (const line of linesOf(path)) {
    number++;
    const value = parsed(path, number, line);
    if (number === 1 || value["sha256"] !== undefined) continue;
    if (value["snapshot"] === undefined) yield recordOf(path, number, value);
    else yield { line: JSON.stringify(value["snapshot"]) };
  }
}

/** Split at \n alone: readline also splits at U+2028 and U+2029 from Node 24 on, which JSON leaves as they are in a text. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let line = "";
  try {
    for await (const chunk of createReadStream(path, "utf8") as AsyncIterable<string>) {
      const [end = "", ...others] = chunk.split("\n");
      line += end;
      for (const next of others) {
        yield line;
        line = next;
      }
    }
  } catch (error) {
    throw new SwainError("DISK_ERROR", error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (line !== "") yield line;
}

function parsed(path: string, number: number, line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below, like everything that is no object.
  }
  throw broken(path, number, "this is no line of a backup");
}

function headerOf(path: string, value: Record<string, unknown>): BackupHeader {
  if (value["swain"] !== "backup") throw broken(path, 1, "this is no backup of Swain");
  const { format } = value;
  if (format !== 1 && format !== 2) throw broken(path, 1, `this version reads formats 1 and 2, not ${String(format)}`);
  const { cluster, logId, sequence } = value;
  if (typeof cluster !== "string" || typeof logId !== "string" || typeof sequence !== "number") {
    throw broken(path, 1, "its first line does not say what it is of");
  }
  return value as unknown as BackupHeader;
}

function recordOf(path: string, number: number, value: Record<string, unknown>): SavedRecord {
  const { sequence, subject, text, base64 } = value;
  const isWhole = typeof sequence === "number" && typeof subject === "string";
  if (isWhole && typeof text === "string") return { sequence, subject, data: new TextEncoder().encode(text) };
  if (isWhole && typeof base64 === "string") return { sequence, subject, data: Buffer.from(base64, "base64") };
  throw broken(path, number, "this is no record");
}

const broken = (path: string, line: number, why: string): SwainError =>
  new SwainError("BACKUP_BROKEN", `${path}:${line}: ${why}`);

const taken = (path: string): SwainError =>
  new SwainError("INVALID_ARGUMENT", `${path} is there already; a backup is never overwritten, so name another file`);

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new SwainError("DISK_ERROR", error instanceof Error ? error.message : String(error), { cause: error });
  }
}
