// Cuts items to what one event may hold. Pure.
import { SwainError } from "../../kernel/errors.ts";
import { limits } from "../../bus/limits.ts";
import type { EventItem } from "../../../schemas/generated/types.ts";
import { jsonBytes } from "../record.ts";

/** The longest beginning that fits one event of at most so many bytes; at least one item. */
export function firstEvent(items: readonly EventItem[], mostBytes: number = limits.eventBytes): EventItem[] {
  let bytes: number = limits.eventEnvelopeBytes;
  const fitting: EventItem[] = [];
  for (const item of items) {
    bytes += jsonBytes(item) + 1;
    if (fitting.length > 0 && (fitting.length >= limits.eventItems || bytes > mostBytes)) break;
    fitting.push(item);
  }
  return fitting;
}

/** Throws APPLY_TOO_LARGE where not all items fit one event. */
export function toFitOneEvent(items: readonly EventItem[]): void {
  const isWhole = firstEvent(items).length === items.length;
  if (isWhole && jsonBytes(items) + limits.eventEnvelopeBytes <= limits.eventBytes) return;
  throw new SwainError("APPLY_TOO_LARGE", "the change is too large for one event");
}
