// The clock of one term: wall time when it began plus what has passed since, so that event times of a term never go back.
import type { TermTime } from "../../core/view.ts";
import type { Clock } from "../../kernel/clock.ts";

/** NTP moves a clock by less than this without setting it. */
const mostWrongMs = 5000;
/** A clock that is set forth and back at once is left alone. */
const wrongLooks = 3;

/** The last event before the term: its time, and the monotonic time at which it was folded here. */
export interface LastBefore {
  readonly time: number;
  readonly foldedAt: number;
}

export class TermClock {
  private readonly clock: Clock;
  private readonly before: LastBefore;
  private readonly wall: number;
  private readonly mono: number;
  private looksWrong = 0;

  constructor(clock: Clock, before: LastBefore) {
    this.clock = clock;
    this.before = before;
    this.wall = clock.wall();
    this.mono = clock.mono();
  }

  time(): TermTime {
    const { time, foldedAt } = this.before;
    return { now: this.now(), termAgeMs: this.age(), before: { time, agoMs: this.clock.mono() - foldedAt } };
  }

  /** Milliseconds since this term began. */
  age(): number {
    return this.clock.mono() - this.mono;
  }

  /**
   * To be asked with every beat: true once the clock on the wall has said something else for a while, because it was set or
   * the machine slept. Since times of a term never jump, the next term alone can have the right ones.
   */
  isWrong(): boolean {
    this.looksWrong = Math.abs(this.aheadMs) > mostWrongMs ? this.looksWrong + 1 : 0;
    return this.looksWrong >= wrongLooks;
  }

  /** True when the machine may have slept in this term, and with it a server that may not know yet that it lost the others. */
  mayHaveSlept(): boolean {
    return this.aheadMs > mostWrongMs;
  }

  private get aheadMs(): number {
    return this.clock.wall() - this.wall - this.age();
  }

  /** Milliseconds since 1970, whole. */
  now(): number {
    return Math.round(this.wall + this.age());
  }
}
