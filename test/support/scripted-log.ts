// A log in memory that fails as told, for tests of what is made of an append or a read.
import { expect } from "vitest";
import type { LogRecord, LogStore, LogTail } from "../../services/bus/port.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";

export type Fault = (log: ScriptedLog, data: Uint8Array, expected: number) => number | Code;

/** Stores what `faults` let through; with no fault left it behaves. */
export class ScriptedLog implements LogStore {
  readonly records: Uint8Array[] = [];
  readonly sent: { expected: number; data: Uint8Array }[] = [];
  faults: Fault[] = [];
  getFaults: Code[] = [];
  /** Sequences of records that are not there any more. */
  readonly missing = new Set<number>();
  /** What looks at its end meet from the next one on; null = nothing. A function does something before. */
  tailFaults: (Code | null | (() => Code | null))[] = [];
  /** A backup is being written into it. */
  isMarked = false;

  async append(_subject: string, data: Uint8Array, options: { expectedSequence: number }): Promise<number> {
    const expected = options.expectedSequence;
    this.sent.push({ expected, data });
    const fault = this.faults.shift();
    const outcome = fault === undefined ? this.store(data, expected) : fault(this, data, expected);
    if (typeof outcome === "string") throw new SwainError(outcome, "as told");
    return outcome;
  }

  store(data: Uint8Array, expected: number): number | Code {
    if (expected !== this.records.length) return "APPEND_CONFLICT";
    return this.records.push(data);
  }

  async tail(): Promise<LogTail> {
    const next = this.tailFaults.shift() ?? null;
    const fault = typeof next === "function" ? next() : next;
    if (fault !== null) throw new SwainError(fault, "as told");
    if (this.isMarked) throw new SwainError("LOG_RESTORING", "as told");
    return { first: 1, last: this.records.length, replicas: 1, heardAgoMs: 0 };
  }

  async get(sequence: number): Promise<LogRecord | null> {
    const fault = this.getFaults.shift();
    if (fault !== undefined) throw new SwainError(fault, "as told");
    const data = this.records[sequence - 1];
    return data === undefined ? null : { sequence, subject: "s", data, time: 0 };
  }

  async read(from: number, onRecord: (record: LogRecord) => void, upTo = Infinity): Promise<void> {
    for (const [index, data] of this.records.entries()) {
      if (this.missing.has(index + 1)) continue;
      if (index + 1 >= from && index < upTo) onRecord({ sequence: index + 1, subject: "s", data, time: 0 });
    }
  }

  follow(): () => void {
    return () => {};
  }

  async cut(): Promise<void> {
    expect.fail("nothing here cuts");
  }

  async room(): Promise<{ used: number; most: number }> {
    return { used: 0, most: 0 };
  }
}
