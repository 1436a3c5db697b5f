// Time limits of requests. One timer of the clock serves all of them, because nearly every request is answered: setting and
// cancelling a timer for each would cost more than the request.
import type { Clock } from "../../../services/kernel/clock.ts";

export interface Deadline {
  readonly at: number;
  readonly lane: Set<Deadline>;
  readonly expire: () => void;
}

export class Deadlines {
  private readonly clock: Clock;
  /** Deadlines by their length: those of one length fall due in the order in which they were set. */
  private readonly lanes = new Map<number, Set<Deadline>>();
  private armedFor = Infinity;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  set(ms: number, expire: () => void): Deadline {
    let lane = this.lanes.get(ms);
    if (lane === undefined) this.lanes.set(ms, (lane = new Set()));
    const now = this.clock.mono();
    const deadline = { at: now + ms, lane, expire };
    lane.add(deadline);
    this.arm(deadline.at, now);
    return deadline;
  }

  end(deadline: Deadline): void {
    deadline.lane.delete(deadline);
  }

  endAll(): void {
    this.lanes.clear();
  }

  private arm(at: number, now: number): void {
    if (at >= this.armedFor) return;
    this.armedFor = at;
    this.clock.after(Math.max(0, at - now), () => this.onTimer(at));
  }

  private onTimer(at: number): void {
    // One that was set later and is due earlier has taken its place.
    if (at !== this.armedFor) return;
    this.armedFor = Infinity;
    const now = this.clock.mono();
    let next = Infinity;
    for (const [ms, lane] of this.lanes) {
      for (const deadline of lane) {
        if (deadline.at > now) {
          next = Math.min(next, deadline.at);
          break;
        }
        lane.delete(deadline);
        deadline.expire();
      }
      if (lane.size === 0) this.lanes.delete(ms);
    }
    if (next !== Infinity) this.arm(next, now);
  }
}
