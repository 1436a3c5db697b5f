// How far a wait is, on standard error: one line that is drawn again and again on a terminal, a line for each change
// anywhere else. Called by `wait.ts`.
import type { Cancel, Clock } from "../services/kernel/clock.ts";
import type { Terminal } from "./command.ts";
import { harmless } from "./output/table.ts";
import { ageText } from "./output/units.ts";

/** Fast enough to look alive, slow enough to cost nothing. */
const drawMs = 120;
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

export class Progress {
  private readonly terminal: Terminal;
  private readonly clock: Clock;
  private readonly total: number;
  private readonly began: number;
  private readonly told = new Map<string, string>();
  private readonly open = new Map<string, string>();
  private readonly cancel: Cancel;
  private frame = 0;
  private drawn = false;

  /** `total`: how many things are waited for. */
  constructor(terminal: Terminal, clock: Clock, total: number) {
    this.terminal = terminal;
    this.clock = clock;
    this.total = total;
    this.began = clock.mono();
    this.cancel = terminal.columns === null ? () => {} : clock.every(drawMs, () => this.draw());
  }

  /** Something is so far; with `done` it is over with. */
  tell(label: string, progress: string, done: boolean): void {
    const text = harmless(`${label}: ${progress}`);
    if (done) this.open.delete(label);
    else this.open.set(label, text);
    if (this.told.get(label) === text) return;
    this.told.set(label, text);
    if (this.terminal.columns === null) this.terminal.err(`${text}\n`);
    else if (done) {
      this.clear();
      this.terminal.err(`${this.terminal.color ? "\u001B[32m✓\u001B[39m" : "✓"} ${text}\n`);
    }
    this.draw();
  }

  stop(): void {
    this.cancel();
    this.clear();
  }

  private clear(): void {
    if (this.drawn) this.terminal.err("\r\u001B[K");
    this.drawn = false;
  }

  private draw(): void {
    const { columns } = this.terminal;
    const [first] = this.open.values();
    if (columns === null || first === undefined) return;
    this.frame = (this.frame + 1) % frames.length;
    const others = this.total > 1 ? ` · ${this.total - this.open.size} of ${this.total} done` : "";
    const tail = ` · ${ageText(this.clock.mono() - this.began)}${others}`;
    // A line that wraps could not be drawn over.
    const room = Math.max(10, columns - tail.length - 4);
    const text = first.length > room ? `${first.slice(0, room - 1)}…` : first;
    this.terminal.err(`\r\u001B[K${frames[this.frame]} ${text}${tail}`);
    this.drawn = true;
  }
}
