// Virtual time: one queue of what happens when, for a whole simulated world. Nothing here waits; an hour passes as fast as
// its events can be run, always in the same order. Processes get a clock of their own, which can be paused, set, and ended.
import type { Cancel, Clock } from "../../services/kernel/clock.ts";

class Entry {
  at = 0;
  /** Breaks ties: what was asked for first happens first. */
  order = 0;
  readonly fn: () => void;
  /** Of the process in which it happens. */
  readonly clock: ProcessClock | undefined;
  live = true;

  constructor(fn: () => void, clock: ProcessClock | undefined) {
    this.fn = fn;
    this.clock = clock;
  }
}

/** Times are multiples of this part of a millisecond, so that sums and differences of them are exact. */
const ticksPerMs = 1024;

/** What happens when, over all processes. Times are milliseconds since the world began. */
export class Timeline {
  now = 0;
  /** Entries run so far. */
  steps = 0;
  private order = 0;
  private readonly heap: Entry[] = [];

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
    entry.at = this.now + Math.max(0, Math.ceil(ms * ticksPerMs) / ticksPerMs);
    entry.order = this.order += 1;
    this.push(entry);
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
          const entry = this.pop(until);
          if (entry === undefined) {
            this.now = until;
            resolve();
            return;
          }
          this.now = entry.at;
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

  private push(entry: Entry): void {
    const { heap } = this;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Entry;
      if (!before(entry, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  /** The first live entry that is due by then. */
  private pop(until: number): Entry | undefined {
    const { heap } = this;
    for (let first = heap[0]; first !== undefined && first.at <= until; first = heap[0]) {
      this.dropFirst();
      if (first.live) return first;
    }
    return undefined;
  }

  private dropFirst(): void {
    const { heap } = this;
    const last = heap.pop() as Entry;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && before(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      if (!before(heap[child] as Entry, last)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
  }
}

const done = Promise.resolve();

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

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
