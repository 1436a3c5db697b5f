// Brings the output of several pods into one: whole lines, in the order of their times as far as it can be known, and no
// more in memory than one piece per pod. Called by `workload-logs.ts`.
import type { LogChunk } from "../schemas/generated/types.ts";
import type { Clock } from "../services/kernel/clock.ts";
import type { LogSink } from "./log-session.ts";

export interface Line {
  readonly source: string;
  /** Milliseconds since 1970 by the clock of its node. */
  readonly time: number;
  readonly stream: "stdout" | "stderr";
  /** Without its line end. */
  readonly text: string;
}

export interface MergeParts {
  readonly clock: Clock;
  /** Output that goes on may be silent for ever, so it is waited for only this long; null: it ends, wait for each. */
  readonly holdMs: number | null;
  /** Writes one line; the next one waits for it. */
  readonly write: (line: Line) => Promise<void>;
  readonly lost: (source: string, pieces: number) => void;
}

/** A line without an end is cut here: some programs never print one. */
const mostUnended = 64 * 1024;

type Queued = Line & { readonly arrived: number; readonly written: () => void };

interface Source {
  readonly queue: Queued[];
  /** The beginning of a line, by stream. */
  readonly begun: Map<string, { text: string; time: number }>;
  /** Milliseconds since 1970: drivers know `since` less exactly than the times of lines. */
  readonly after: number;
  newest: number;
  ended: boolean;
}

export class MergedLines {
  private readonly parts: MergeParts;
  private readonly sources = new Map<string, Source>();
  private pumping: Promise<void> | null = null;
  private cancelHold = (): void => {};

  constructor(parts: MergeParts) {
    this.parts = parts;
  }

  /** Where a session of that source puts its output. Lines up to `after` were shown before and are left out. */
  open(name: string, after = 0): LogSink {
    const source: Source = { queue: [], begun: new Map(), after, newest: after, ended: false };
    this.sources.set(name, source);
    return {
      take: (chunk) => this.take(name, source, chunk),
      lost: (pieces) => this.parts.lost(name, pieces),
    };
  }

  /** Nothing more comes from that source. The time of its newest line, 0 without one. */
  async end(name: string): Promise<number> {
    const source = this.sources.get(name);
    if (source === undefined) return 0;
    for (const [stream, { text, time }] of source.begun) {
      this.put(name, source, { source: name, time, stream: stream as Line["stream"], text }, () => {});
    }
    source.ended = true;
    await this.pump();
    return source.newest;
  }

  stop(): void {
    this.cancelHold();
  }

  private async take(name: string, source: Source, chunk: LogChunk): Promise<void> {
    const { text = "", stream = "stdout", times = [] } = chunk;
    const pieces = text.split(/(?<=\n)/);
    let waiting: Promise<void> = Promise.resolve();
    for (const [index, piece] of pieces.entries()) {
      const before = source.begun.get(stream);
      // An agent that tells no times is taken at the time its output came.
      const time = before?.time ?? times[index] ?? Math.max(source.newest, this.parts.clock.wall());
      const whole = (before?.text ?? "") + piece;
      if (!piece.endsWith("\n") && whole.length < mostUnended) {
        source.begun.set(stream, { text: whole, time });
        continue;
      }
      source.begun.delete(stream);
      if (time <= source.after) continue;
      waiting = new Promise((resolve) => {
        this.put(name, source, { source: name, time, stream, text: whole.replace(/\r?\n$/, "") }, resolve);
      });
    }
    void this.pump();
    await waiting;
  }

  private put(name: string, source: Source, line: Line, written: () => void): void {
    source.newest = Math.max(source.newest, line.time);
    source.queue.push({ ...line, source: name, arrived: this.parts.clock.mono(), written });
  }

  /** Writes what may be written; one at a time. */
  private async pump(): Promise<void> {
    while (this.pumping !== null) await this.pumping;
    this.pumping = this.writeAll().finally(() => {
      this.pumping = null;
    });
    await this.pumping;
  }

  private async writeAll(): Promise<void> {
    for (let source = this.next(); source !== undefined; source = this.next()) {
      const line = source.queue.shift();
      if (line === undefined) return;
      await this.parts.write(line);
      line.written();
      // Whoever waited for that line brings the next piece of its pod before another pod's line is chosen.
      await Promise.resolve();
    }
    for (const [name, source] of this.sources) if (source.ended && source.queue.length === 0) this.sources.delete(name);
  }

  /** The source whose line is the earliest, when no earlier one can come any more. */
  private next(): Source | undefined {
    let earliest: Source | undefined;
    let complete = true;
    for (const source of this.sources.values()) {
      const [head] = source.queue;
      if (head === undefined) complete &&= source.ended;
      else if (head.time < (earliest?.queue[0]?.time ?? Infinity)) earliest = source;
    }
    const head = earliest?.queue[0];
    if (head === undefined || complete) return earliest;
    const { holdMs, clock } = this.parts;
    if (holdMs === null) return undefined;
    const left = head.arrived + holdMs - clock.mono();
    if (left <= 0) return earliest;
    this.cancelHold();
    this.cancelHold = clock.after(left, () => void this.pump());
    return undefined;
  }
}
