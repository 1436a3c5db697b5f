// `--since`: how far back, or from when on.
import { parseDurationMs } from "../services/core/quantity.ts";
import { SwainError } from "../services/kernel/errors.ts";

/** What a node is asked: an age counts by the node's clock, so a clock of this machine that is wrong does no harm. */
export type Since = { readonly sinceMs: number } | { readonly sinceTime: number };

/** The longest age a node takes. */
const mostMs = 365 * 24 * 3_600_000;

const rfc3339 =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$/;

/** `90s`, `2h`, or a time by RFC 3339. Throws INVALID_ARGUMENT. */
export function sinceOf(text: string | undefined): Since | null {
  if (text === undefined) return null;
  const time = rfc3339.test(text) ? Date.parse(text.replace(" ", "T")) : Number.NaN;
  if (time >= 0) return { sinceTime: time };
  try {
    const sinceMs = parseDurationMs(text);
    if (sinceMs <= mostMs) return { sinceMs };
  } catch {
    // Neither is it a duration.
  }
  throw new SwainError(
    "INVALID_ARGUMENT",
    `--since must be a duration up to a year (90s, 2h) or a time (2026-01-31T08:00:00Z), not "${text}"`,
  );
}
