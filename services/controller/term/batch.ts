// Cuts items to what one event may hold. Pure.
import { limits } from "../../bus/limits.ts";
import type { EventItem } from "../../../schemas/generated/types.ts";
import { jsonBytes } from "../record.ts";

/** Room for what surrounds the items of an event. */
const envelopeBytes = 1024;

/** The longest beginning that fits one event of at most so many bytes; at least one item. */
export function firstEvent(items: readonly EventItem[], mostBytes: number = limits.eventBytes): EventItem[] {
  let bytes = envelopeBytes;
  const fitting: EventItem[] = [];
  for (const item of items) {
    bytes += jsonBytes(item) + 1;
    if (fitting.length > 0 && (fitting.length >= limits.eventItems || bytes > mostBytes)) break;
    fitting.push(item);
  }
  return fitting;
}

/** True when all items fit one event. */
export function fitsOneEvent(items: readonly EventItem[]): boolean {
  return firstEvent(items).length === items.length && jsonBytes(items) + envelopeBytes <= limits.eventBytes;
}
