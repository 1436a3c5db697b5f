// What happened in a world, line by line, and a number that two equal runs share.
import type { LogFields } from "../../services/kernel/log.ts";
import type { Timeline } from "./time.ts";

export class Trace {
  private readonly timeline: Timeline;
  private readonly most: number;
  private lines: string[] = [];
  private hash = 0x811c9dc5;
  /** Told each line as it comes. */
  onLine: ((line: string) => void) | undefined;

  /** Keeps the last `most` lines. */
  constructor(timeline: Timeline, most: number) {
    this.timeline = timeline;
    this.most = most;
  }

  note(who: string, what: string, fields: LogFields = {}): void {
    const line = `${this.timeline.now.toFixed(3)} ${who} ${what} ${JSON.stringify(fields)}`;
    let { hash } = this;
    for (let index = 0; index < line.length; index += 1) hash = mixed(hash, line.charCodeAt(index));
    this.hash = hash;
    if (this.most === 0) return;
    this.onLine?.(line);
    this.lines.push(line);
    if (this.lines.length > 2 * this.most) this.lines = this.lines.slice(-this.most);
  }

  /** Counts bytes in. */
  mix(data: Uint8Array): void {
    let { hash } = this;
    for (let index = 0; index < data.length; index += 1) hash = mixed(hash, data[index] as number);
    this.hash = hash;
  }

  last(): readonly string[] {
    return this.lines.slice(-this.most);
  }

  /** Equal for equal runs. */
  get digest(): string {
    return (this.hash >>> 0).toString(16).padStart(8, "0");
  }
}

const mixed = (hash: number, value: number): number => Math.imul(hash ^ value, 0x01000193);
