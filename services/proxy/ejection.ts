// How long a backend is left out after a failed connect. Pure.
import { delayMs } from "../kernel/backoff.ts";
import { proxyLimits } from "./limits.ts";
import type { EjectionRules } from "./traffic.ts";

const aside = { firstMs: proxyLimits.asideFirstMs, maxMs: proxyLimits.asideMaxMs, factor: 2 };

/** An ejection never lasts longer than this many times the first; after as long in peace the count begins anew. */
const longest = 10;

/** A backend's past connects. Times are monotonic. */
export interface ConnectPast {
  /** Connects failed in a row. */
  readonly failures: number;
  /** Left out until then, unless nothing else is left. */
  readonly asideUntil: number;
  /** Ejections that followed each other closely. */
  readonly ejections: number;
  /** When the last of them ended or ends. */
  readonly ejectedUntil: number;
}

export const cleanPast: ConnectPast = { failures: 0, asideUntil: 0, ejections: 0, ejectedUntil: 0 };

/**
 * The past after one more failed connect. A backend that failed is always left out for a moment that grows; at
 * `rules.failures` in a row it is ejected, each time twice as long, but not when `isLast`: the others are all left out.
 */
export function afterFailure(
  past: ConnectPast,
  now: number,
  rules: EjectionRules | undefined,
  isLast: boolean,
): ConnectPast {
  const failures = past.failures + 1;
  if (rules === undefined || failures < rules.failures || isLast) {
    return { ...past, failures, asideUntil: now + delayMs(aside, past.failures) };
  }
  const before = now > past.ejectedUntil + longest * rules.forMs ? 0 : past.ejections;
  const until = now + rules.forMs * Math.min(2 ** Math.min(before, 10), longest);
  return { failures, asideUntil: until, ejections: before + 1, ejectedUntil: until };
}

/** The past after a connect that worked: it serves at once, but former ejections still count for the next one. */
export function afterSuccess(past: ConnectPast): ConnectPast {
  return { ...past, failures: 0, asideUntil: 0 };
}
