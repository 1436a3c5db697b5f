// Virtual time: one queue of what happens when, for a whole simulated world. Nothing here waits; an hour passes as fast as
// its events can be run, always in the same order. Processes get a clock of their own, which can be paused, set, and ended.
import type { Cancel, Clock } from "../../services/kernel/clock.ts";

class Entry {
  readonly fn: () => void;
  /** Of the process in which it happens. */
  readonly clock: ProcessClock | undefined;
  live = true;

  constructor(fn: () => void, clock: ProcessClock | undefined) {
    this.fn = fn;
    this.clock = clock;
  }
}

/** Entries that there is room for from the beginning. */
const leastRoom = 1024;

/** Times are multiples of this part of a millisecond, so that sums and differences of them are exact. */
const ticksPerMs = 1024;

/** What happens when, over all processes. Times are milliseconds since the world began. */
export class Timeline {
  now = 0;
  /** Entries run so far. */
  steps = 0;
  private readonly queue = new Queue();

  /** Runs `fn` when `ms` milliseconds have passed. */
  after(ms: number, fn: () => void): Cancel {
    const entry = new Entry(fn, undefined);
    this.plan(entry, ms);
    return () => {
      entry.live = false;
    };
  }

  /** The same with an entry that is not planned now, and may have been before. */
  plan(entry: Entry, ms: number): void {
    this.queue.add(this.now + Math.max(0, Math.ceil(ms * ticksPerMs) / ticksPerMs), entry);
  }

  /**
   * Lets time pass to `until`, running what is due, each entry to the end of all that follows from it without time passing.
   * `afterStep` looks at the world between two entries; what it throws ends the run.
   */
  run(until: number, afterStep: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          if (this.steps > 0) afterStep();
          const entry = this.queue.take(until);
          if (entry === undefined) {
            this.now = until;
            resolve();
            return;
          }
          this.now = this.queue.takenAt;
          this.steps += 1;
          if (entry.clock === undefined) entry.fn();
          else entry.clock.happen(entry);
        } catch (error) {
          reject(error);
          return;
        }
        void done.then(again);
      };
      // A tick begins when no microtask is left: all promises that follow from a step are settled before the next. A turn of
      // Node's own loop would do as well, and take a twentieth longer.
      const again = (): void => process.nextTick(turn);
      setImmediate(turn);
    });
  }
}

/** A binary heap of entries. Their times lie apart from them and beside each other: they are all that is looked at to find a place. */
class Queue {
  /** The time of the entry that was taken last. */
  takenAt = 0;
  private length = 0;
  private times = new Float64Array(leastRoom);
  /** Breaks ties: what was asked for first happens first. */
  private orders = new Float64Array(leastRoom);
  private readonly entries: (Entry | undefined)[] = [];
  private order = 0;

  add(time: number, entry: Entry): void {
    if (this.length === this.times.length) this.grow();
    const { times } = this;
    let at = this.length;
    this.length += 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      // Of two with the same time this is the later one.
      if ((times[above] as number) <= time) break;
      this.move(above, at);
      at = above;
    }
    times[at] = time;
    this.orders[at] = this.order += 1;
    this.entries[at] = entry;
  }

  /** The first live entry that is due by then. */
  take(until: number): Entry | undefined {
    while (this.length > 0 && (this.times[0] as number) <= until) {
      const first = this.entries[0] as Entry;
      this.takenAt = this.times[0] as number;
      this.dropFirst();
      if (first.live) return first;
    }
    return undefined;
  }

  /** The last one goes down from the top to where it belongs. */
  private dropFirst(): void {
    this.length -= 1;
    const { times, orders, length } = this;
    const [time, order] = [times[length] as number, orders[length] as number];
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && this.isBefore(child + 1, times[child] as number, orders[child] as number)) child += 1;
      if (!this.isBefore(child, time, order)) break;
      this.move(child, at);
      at = child;
    }
    if (at < length) this.move(length, at);
    this.entries[length] = undefined;
  }

  private isBefore(place: number, time: number, order: number): boolean {
    const own = this.times[place] as number;
    return own < time || (own === time && (this.orders[place] as number) < order);
  }

  private move(from: number, to: number): void {
    this.times[to] = this.times[from] as number;
    this.orders[to] = this.orders[from] as number;
    this.entries[to] = this.entries[from];
  }

  private grow(): void {
    for (const field of ["times", "orders"] as const) {
      const more = new Float64Array(2 * this.length);
      more.set(this[field]);
      this[field] = more;
    }
  }
}

const done = Promise.resolve();

/** Simulated worlds begin here: 2026-01-01. */
const epochMs = Date.UTC(2026, 0, 1);

/** The clock of one process. While it is paused nothing of it happens; once ended, nothing does any more. */
export class ProcessClock implements Clock {
  /** Added to the wall clock, which may jump; nothing may depend on it. */
  skewMs = 0;
  private readonly timeline: Timeline;
  private readonly begin: number;
  /** How many pauses are not over. */
  private pauses = 0;
  private ended = false;
  private held: Entry[] = [];

  constructor(timeline: Timeline) {
    this.timeline = timeline;
    // No two machines' clocks count from the same moment.
    this.begin = timeline.now - 1000;
  }

  get isRunning(): boolean {
    return this.pauses === 0 && !this.ended;
  }

  wall(): number {
    return Math.floor(epochMs + this.timeline.now + this.skewMs);
  }

  mono(): number {
    return this.timeline.now - this.begin;
  }

  after(ms: number, fn: () => void): Cancel {
    if (this.ended) return () => {};
    const entry = new Entry(fn, this);
    this.timeline.plan(entry, ms);
    return () => {
      entry.live = false;
    };
  }

  every(ms: number, fn: () => void): Cancel {
    const tick = (): void => {
      // Set first: what it does may cancel it. Ticks that were missed in a pause are not made up for.
      if (!this.ended) this.timeline.plan(entry, ms);
      fn();
    };
    const entry = new Entry(tick, this);
    if (!this.ended) this.timeline.plan(entry, ms);
    return () => {
      entry.live = false;
    };
  }

  /** As SIGSTOP: time passes, nothing is done until as many have resumed it as paused it. */
  pause(): void {
    this.pauses += 1;
  }

  /** As SIGCONT: what was due meanwhile is done now, in its order. */
  resume(): void {
    this.pauses -= 1;
    for (const entry of this.held.splice(0)) this.timeline.plan(entry, 0);
  }

  /** As SIGKILL. */
  end(): void {
    this.ended = true;
    this.held = [];
  }

  happen(entry: Entry): void {
    if (this.ended) return;
    if (this.pauses > 0) this.held.push(entry);
    else entry.fn();
  }
}
