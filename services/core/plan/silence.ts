// Silence: what is decided because somebody was not heard for too long, and so not by who may not have heard.
import type { EventItem } from "../../../schemas/generated/types.ts";

/** A pod is drained once proxies that carry connections to it let go, or are not heard any more. */
const verbs: ReadonlySet<string> = new Set(["lost", "held", "drained"]);

/** Whether the item follows from silence. That a node is unknown does, too, but it is asked before. */
export function isOfSilence(item: EventItem): boolean {
  if (item.kind === "endpoint") return item.verb === "removed" && item.reason === "EXPIRED";
  return item.kind === "pod" && verbs.has(item.verb);
}
