// The clock of one term: wall time when it began plus what has passed since, so that event times of a term never go back.
import type { Clock } from "../../kernel/clock.ts";

export class TermClock {
  private readonly clock: Clock;
  private readonly wall: number;
  private readonly mono: number;

  constructor(clock: Clock) {
    this.clock = clock;
    this.wall = clock.wall();
    this.mono = clock.mono();
  }

  /** Milliseconds since this term began. */
  age(): number {
    return this.clock.mono() - this.mono;
  }

  /** Milliseconds since 1970, whole. */
  now(): number {
    return Math.round(this.wall + this.age());
  }
}
