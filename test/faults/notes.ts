// What the tests of leaders and of three servers write down for the report: what they did, what was acknowledged, what ran,
// and in the end the log. `checker.mjs` makes all figures of it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Fleet } from "../support/fleet.ts";

export class Notes {
  private readonly lines: object[] = [];

  /** `kind`: which table of the report it belongs to. */
  constructor(kind: "leaders" | "servers", server: string) {
    this.say({ kind, server });
  }

  /** Adds the time, milliseconds since 1970: what servers say of their records is by the same clock. */
  say(line: object): void {
    this.lines.push({ at: Date.now(), ...line });
  }

  /** Adds the log, and keeps all of it where recordings go, if anywhere. */
  async keep(name: string, fleet: Fleet): Promise<void> {
    const { SWAIN_FAULTS_OUT: out } = process.env;
    if (out === undefined) return;
    for (const { sequence, time, event } of await fleet.log()) this.say({ kind: "record", seq: sequence, time, event });
    mkdirSync(out, { recursive: true });
    const text = this.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    writeFileSync(join(out, `${name}.jsonl.gz`), gzipSync(text));
  }
}
