// Wakes one loop that waits for something to do.
import type { Clock } from "../kernel/clock.ts";

/** A wake that comes while nobody waits is kept for the next wait. */
export class Signal {
  private pending = false;
  private release: (() => void) | undefined;

  wake(): void {
    this.pending = true;
    this.release?.();
  }

  /** Resolves at the next wake, or after `ms` milliseconds; null waits for a wake alone. One waiter at a time. */
  async wait(clock: Clock, ms: number | null): Promise<void> {
    if (!this.pending) {
      await new Promise<void>((resolve) => {
        const cancel = ms === null ? undefined : clock.after(ms, resolve);
        this.release = () => {
          cancel?.();
          resolve();
        };
      });
      this.release = undefined;
    }
    this.pending = false;
  }
}
