// Virtual time for tests of the simulated bus: one world of timers, and processes whose timers stand still or are gone.
import type { Cancel, Clock } from "../../services/kernel/clock.ts";
import type { Random } from "../../services/kernel/ids.ts";

interface Timer {
  at: number;
  fn: (() => void) | undefined;
  readonly every: number;
}

/** Time moves only by `pass` and `until`; timers run in order. */
export class TestTime implements Clock {
  private now = 0;
  private readonly timers: Timer[] = [];

  wall(): number {
    return Math.round(1_700_000_000_000 + this.now);
  }

  mono(): number {
    return this.now;
  }

  after(ms: number, fn: () => void): Cancel {
    return this.add({ at: this.now + ms, fn, every: 0 });
  }

  every(ms: number, fn: () => void): Cancel {
    return this.add({ at: this.now + ms, fn, every: ms });
  }

  /** Lets time pass, and what follows from it happen. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    while ((this.timers[0]?.at ?? Infinity) <= end) await this.step();
    this.now = end;
  }

  /** Lets time pass until the work is done. */
  async until<T>(work: Promise<T>): Promise<T> {
    const waiting = { open: true };
    const end = (): void => {
      waiting.open = false;
    };
    work.then(end, end);
    await settle();
    while (waiting.open) await this.step();
    return work;
  }

  private async step(): Promise<void> {
    const timer = this.timers.shift();
    if (timer === undefined) throw new Error("nothing is going to happen any more");
    if (timer.fn === undefined) return;
    this.now = timer.at;
    const { fn } = timer;
    if (timer.every > 0) this.add(timer, timer.at + timer.every);
    fn();
    await settle();
  }

  private add(timer: Timer, at = timer.at): Cancel {
    timer.at = at;
    let place = this.timers.length;
    while (place > 0 && this.timers[place - 1]!.at > at) place -= 1;
    this.timers.splice(place, 0, timer);
    return () => {
      timer.fn = undefined;
    };
  }
}

/** The clock of one process. */
export class ProcessTime implements Clock {
  private readonly time: TestTime;
  private state: "running" | "paused" | "killed" = "running";
  private due: (() => void)[] = [];

  constructor(time: TestTime) {
    this.time = time;
  }

  wall(): number {
    return this.time.wall();
  }

  mono(): number {
    return this.time.mono();
  }

  after(ms: number, fn: () => void): Cancel {
    return this.time.after(ms, () => this.run(fn));
  }

  every(ms: number, fn: () => void): Cancel {
    return this.time.every(ms, () => this.run(fn));
  }

  pause(): void {
    this.state = "paused";
  }

  resume(): void {
    this.state = "running";
    const { due } = this;
    this.due = [];
    for (const fn of due) fn();
  }

  /** As Node does: what follows from a timer happens before the next one. */
  async resumeInOrder(): Promise<void> {
    this.state = "running";
    const { due } = this;
    this.due = [];
    for (const fn of due) {
      fn();
      await settle();
    }
  }

  kill(): void {
    this.state = "killed";
  }

  private run(fn: () => void): void {
    if (this.state === "running") fn();
    else if (this.state === "paused") this.due.push(fn);
  }
}

/** The same numbers for the same seed. */
export function seeded(seed: number): Random {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return {
    next: () => {
      state ^= state << 13;
      state >>>= 0;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state / 4_294_967_296;
    },
  };
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
