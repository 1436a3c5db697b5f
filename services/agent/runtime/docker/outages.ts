// When the engine was away: a Docker that goes down asks the programs of its containers to end, and nobody sees which of
// them had just ended by themselves. Told by the driver; asked about ends of containers.
import type { Clock } from "../../../kernel/clock.ts";

/** A time in milliseconds since 1970, without its ends. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

/** An end in an older one was told long ago. */
const mostSpans = 100;

export class Outages {
  private readonly clock: Clock;
  private readonly past: Span[] = [];
  /** Since when it is away; null while it is not. */
  private since: number | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** It is away, and was there at that time for sure; null when it never was. */
  begin(seenAt: number | null): void {
    this.since ??= seenAt;
  }

  /** It is back. */
  end(): void {
    if (this.since === null) return;
    this.past.push({ from: this.since, until: this.clock.wall() });
    this.since = null;
    if (this.past.length > mostSpans) this.past.shift();
  }

  /** All of them, with the one that lasts. */
  spans(): readonly Span[] {
    return this.since === null ? this.past : [...this.past, { from: this.since, until: Infinity }];
  }
}
