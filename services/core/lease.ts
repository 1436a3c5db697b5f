// Leases of nodes with fenced pods: when a leader grants one, and when an agent may count on what was granted. Both sides
// in one place, because the proof of `decisions/0027-fencing.md` needs both. Pure.
import type { LeaseReply } from "../../schemas/generated/types.ts";
import type { Code } from "../kernel/errors.ts";
import type { ReadState } from "./model.ts";

/** What a leader says to a node's request, by the state of its own term. */
export function leaseVerdict(
  state: ReadState,
  id: string,
  logId: string,
): { readonly generation: number } | { readonly code: Code; readonly message: string } {
  if (logId !== state.logId) {
    return { code: "LOG_UNKNOWN", message: `node ${id} follows log "${logId}", this is "${state.logId}"` };
  }
  const node = state.nodes.get(id);
  if (node === undefined) {
    return { code: "NOT_FOUND", message: `node ${id} is not registered yet: its next heartbeat does that` };
  }
  // Pods are given up only while the log calls their node unknown. An event that does so may be on its way into the log
  // right now, so nothing is granted before the log says that the node is heard.
  if (node.state !== "ready") {
    return { code: "NODE_UNHEARD", message: `node ${id} is not known to be heard yet; ask again` };
  }
  return { generation: node.assignment };
}

/**
 * What an answer is worth to the agent. behind: what was decided since its assignment may be that pods of it run elsewhere
 * by now, so that must be read first.
 */
export function leaseWorth(
  held: { readonly logId: string; readonly epoch: number; readonly generation: number },
  epoch: number,
  reply: LeaseReply,
): "granted" | "behind" | "foreign" {
  if (reply.logId !== held.logId || reply.epoch < epoch) return "foreign";
  // A later leader that speaks of less leads a log that lost its end, and what is held with it.
  const isLost = reply.generation < held.generation && reply.epoch > held.epoch;
  return isLost || reply.generation > held.generation ? "behind" : "granted";
}
