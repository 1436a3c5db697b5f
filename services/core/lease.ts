// Leases of nodes with fenced pods: when a leader grants one, and when an agent may count on what was granted. Both sides
// in one place, because the proof of `decisions/0027-fencing.md` needs both. Pure.
import type { LeaseReply } from "../../schemas/generated/types.ts";
import type { Code } from "../kernel/errors.ts";
import type { ReadState } from "./model.ts";

/** An assignment by the leader that told it and the sequence of its last change. */
export interface Told {
  readonly epoch: number;
  readonly generation: number;
  /** The leader's name for its term; empty where it is not known. */
  readonly term?: string;
}

/**
 * True when the log has lost what is held, by what a later leader of it says: it speaks of less, or was elected where the
 * log would have the event that is held. An epoch is the sequence of its election.
 */
export function isOfLostEnd(held: Told, told: Told): boolean {
  return told.epoch > held.epoch && (told.generation < held.generation || told.epoch <= held.generation);
}

/** True when two leaders were elected at the same sequence: the log has lost one of the elections. */
export function isOtherTerm(one: Told, other: Told): boolean {
  const { term = "" } = one;
  return one.epoch === other.epoch && term !== "" && (other.term ?? "") !== "" && term !== other.term;
}

/**
 * True when the log has lost what a node was told, by what its leader knows once it has read the log after the node had asked:
 * another leader would be in it.
 */
export function hasLost(own: Told, asked: Told): boolean {
  if (asked.epoch > own.epoch || isOtherTerm(own, asked)) return true;
  return asked.epoch === own.epoch && asked.generation > own.generation;
}

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
 * What an answer is worth to an agent that was told this. behind: what was decided since may be that pods of it run elsewhere
 * by now, so that must be read first. lost: what it was told, and the leader it followed last, went with the end of the log.
 */
export function leaseWorth(
  told: Told & { readonly logId: string },
  epoch: number,
  reply: LeaseReply,
): "granted" | "behind" | "lost" | "foreign" {
  if (reply.logId !== told.logId) return "foreign";
  if (reply.lost === epoch) return "lost";
  if (reply.epoch < epoch) return "foreign";
  return isOfLostEnd(told, reply) || reply.generation > told.generation ? "behind" : "granted";
}
