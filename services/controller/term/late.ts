// Events that came into the log long after their time: the server stood still or was away, and did not lose them.
import type { Clock } from "../../kernel/clock.ts";
import type { TermClock } from "./clock.ts";
import type { Committed } from "./writer.ts";

/** An append that takes no longer is as good as in time. */
const lateMs = 1000;
/** Only who waits since the event asks for it, and an outage makes few of them late: the appends that wait are one at a time. */
const most = 1000;

export class LateEvents {
  private readonly clock: Clock;
  private readonly termClock: TermClock;
  /** Sequence → monotonic time at which it was known to be in the log. */
  private readonly at = new Map<number, number>();

  constructor(clock: Clock, termClock: TermClock) {
    this.clock = clock;
    this.termClock = termClock;
  }

  onCommitted({ event, sequence }: Pick<Committed, "event" | "sequence">): void {
    if (this.termClock.now() - event.time <= lateMs) return;
    this.at.set(sequence, this.clock.mono());
    for (const oldest of this.at.keys()) {
      if (this.at.size <= most) break;
      this.at.delete(oldest);
    }
  }

  /** Sequence → milliseconds since it is in the log. */
  agoMs(): ReadonlyMap<number, number> {
    const now = this.clock.mono();
    return new Map([...this.at].map(([sequence, at]) => [sequence, now - at]));
  }
}
