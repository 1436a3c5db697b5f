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
    for (let index = 0; index < line.length; index += 1) this.add(line.charCodeAt(index));
    if (this.most === 0) return;
    this.onLine?.(line);
    this.lines.push(line);
    if (this.lines.length > 2 * this.most) this.lines = this.lines.slice(-this.most);
  }

  /** Counts bytes in. */
  mix(data: Uint8Array): void {
    for (const byte of data) this.add(byte);
  }

  last(): readonly string[] {
    return this.lines.slice(-this.most);
  }

  /** Equal for equal runs. */
  get digest(): string {
    return (this.hash >>> 0).toString(16).padStart(8, "0");
  }

  private add(value: number): void {
    this.hash = Math.imul(this.hash ^ value, 0x01000193);
  }
}
