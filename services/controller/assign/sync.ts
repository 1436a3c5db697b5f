// Answers an agent that asks for its whole assignment, a page at a time.
import { sync as isSync } from "../../../schemas/generated/messages.js";
import type { Assign, AssignedPod } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { nodeAssignment } from "../../core/assignment.ts";
import { keyOf } from "../../core/model.ts";
import type { ReadState } from "../../core/model.ts";
import { SwainError } from "../../kernel/errors.ts";
import { jsonBytes } from "../record.ts";

/** Room for what surrounds the items. */
const envelopeBytes = 1024;

/** A page of the node's assignment: base 0, all items after `after`. Throws INVALID_REQUEST, LOG_UNKNOWN or NOT_FOUND. */
export function syncPage(state: ReadState, term: string, node: string, body: unknown): Assign {
  if (!isSync(body)) throw new SwainError("INVALID_REQUEST", "this is no sync request (schemas/messages/sync)");
  if (body.logId !== "" && body.logId !== state.logId && !state.parents.includes(body.logId)) {
    throw new SwainError("LOG_UNKNOWN", `node ${node} follows log "${body.logId}", this is "${state.logId}"`);
  }
  const record = state.nodes.get(node);
  // An empty answer would read as "run nothing".
  if (record === undefined) {
    throw new SwainError("NOT_FOUND", `node ${node} is not registered yet: its next heartbeat does that`);
  }
  const { items, next } = pageOf(nodeAssignment(state, node), body.after);
  return {
    clusterUid: state.clusterUid,
    logId: state.logId,
    ...(state.parents.length === 0 ? {} : { parents: [...state.parents] }),
    epoch: state.epoch,
    term,
    generation: record.assignment,
    base: 0,
    items,
    gone: [],
    ...(next === undefined ? {} : { next }),
  };
}

function pageOf(pods: readonly AssignedPod[], after = ""): { items: AssignedPod[]; next: string | undefined } {
  const items: AssignedPod[] = [];
  let bytes = envelopeBytes;
  for (const pod of pods) {
    const key = keyOf(pod.namespace, pod.name);
    if (key <= after) continue;
    bytes += jsonBytes(pod) + 1;
    const last = items.at(-1);
    if (last !== undefined && (bytes > limits.pageBytes || items.length >= limits.eventItems)) {
      return { items, next: keyOf(last.namespace, last.name) };
    }
    items.push(pod);
  }
  return { items, next: undefined };
}
