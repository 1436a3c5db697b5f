// Delays between tries.
import type { Random } from "./ids.ts";

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor: number;
}

/** Delay before try `attempt` (0 = the first retry), without jitter: never falls, never above `maxMs`. */
export function delayMs(backoff: Backoff, attempt: number): number {
  return Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** Math.min(attempt, 64));
}

/** The same with ±20 % of jitter, so that many clients do not retry in step. */
export function jitteredMs(backoff: Backoff, attempt: number, random: Random): number {
  return Math.round(delayMs(backoff, attempt) * (0.8 + 0.4 * random.next()));
}
