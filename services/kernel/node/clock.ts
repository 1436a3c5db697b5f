// The system's clock and timers, for real processes.
import type { Cancel, Clock } from "../clock.ts";

/** Node fires a timer with a longer delay at once. */
const longestTimerMs = 2 ** 31 - 1;

const delay = (ms: number): number => Math.min(Math.max(ms, 0), longestTimerMs);

/** Time of this machine. */
export const systemClock: Clock = {
  wall: () => Date.now(),
  mono: () => performance.now(),
  after(ms: number, fn: () => void): Cancel {
    const timer = setTimeout(fn, delay(ms));
    return () => clearTimeout(timer);
  },
  every(ms: number, fn: () => void): Cancel {
    const timer = setInterval(fn, delay(ms));
    return () => clearInterval(timer);
  },
};
