// Expiry: external endpoints that nobody renewed in time leave their service.
import type { EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { ReadExternal, ReadState } from "../model.ts";
import type { View } from "../view.ts";

export interface ExpireStep {
  readonly items: readonly EventItem[];
  /** Milliseconds until the next one is due; null when there is none. */
  readonly wakeInMs: number | null;
}

export function expire(state: ReadState, view: View): ExpireStep {
  const items: EventItem[] = [];
  let wakeInMs: number | null = null;
  for (const record of state.external.values()) {
    // A new leader knows nothing of earlier renewals: the whole time begins anew.
    const left = record.ttlMs - (view.renewedAgoMs.get(record.id) ?? view.termAgeMs);
    if (left > 0) wakeInMs = Math.min(left, wakeInMs ?? Infinity);
    else if (items.length < limits.eventItems) items.push(removedItem(state, record, "EXPIRED", expired(record)));
  }
  return { items, wakeInMs };
}

const expired = ({ ttlMs }: ReadExternal): string => `It was not renewed for ${ttlMs / 1000} s.`;

/** The item by which an external endpoint leaves its service. */
export function removedItem(
  state: ReadState,
  { namespace, name, service }: ReadExternal,
  reason: "EXPIRED" | "DEREGISTERED" | "DELETED",
  message: string,
): EventItem {
  const of = state.services.get(service)?.name ?? "";
  return { kind: "endpoint", verb: "removed", namespace, name, service: of, reason, message };
}
