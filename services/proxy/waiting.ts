// A bounded line of connections that wait for room: first come, first served, each for a bounded time.
import type { Cancel, Clock } from "../kernel/clock.ts";
import { proxyLimits } from "./limits.ts";

interface Waiter {
  /** True when it took what it waits for. */
  readonly attempt: () => boolean;
  readonly settle: (got: boolean) => void;
}

export class WaitingLine {
  private readonly clock: Clock;
  private readonly line = new Set<Waiter>();
  private cancelLook: Cancel | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get size(): number {
    return this.line.size;
  }

  /** Takes now, unless others wait already; else as soon as it can. False when the line is full or its time is over. */
  take(attempt: () => boolean): Promise<boolean> {
    if (this.line.size === 0 && attempt()) return Promise.resolve(true);
    if (this.line.size >= proxyLimits.waiting) return Promise.resolve(false);
    return new Promise((resolve) => {
      let cancel: Cancel = () => {};
      const waiter: Waiter = {
        attempt,
        settle: (got) => {
          this.line.delete(waiter);
          cancel();
          resolve(got);
        },
      };
      this.line.add(waiter);
      this.lookLater();
      cancel = this.clock.after(proxyLimits.waitingMs, () => waiter.settle(false));
    });
  }

  /** Something became free: lets in as many as can take, in order. */
  retry(): void {
    for (const waiter of this.line) {
      if (!waiter.attempt()) return;
      waiter.settle(true);
    }
  }

  /** A backend that was left out for a while is back without a word. */
  private lookLater(): void {
    this.cancelLook ??= this.clock.after(proxyLimits.waitingLookMs, () => {
      this.cancelLook = undefined;
      this.retry();
      if (this.line.size > 0) this.lookLater();
    });
  }
}
