// Liveness: which nodes are unheard, and which pods are given up for it.
import type { EventItem, Trouble } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { fencedSpec, fenceWaitMs, waitsForNode } from "../fence.ts";
import type { ReadNode, ReadPod, ReadState } from "../model.ts";
import { parseDurationMs } from "../quantity.ts";
import { isOver } from "../transitions.ts";
import { elapsedMs, type View } from "../view.ts";

/** More than this share of the nodes (and at least two) unheard at once is taken for a fault of our own … */
const massShare = 0.3;
/** … for this long; then the pods are replaced all the same. */
const massHoldMs = 300_000;
/**
 * Nodes that fall silent at one moment are called so up to this long one after another: each is missed from its last heartbeat
 * on, at the next look, after a round trip to the server and a ping. Before that one may be the first of many.
 */
const massToldMs = limits.heartbeatMs + limits.silenceLookMs + 2 * limits.silencePingMs;
/** Pods given up in a second: one for each node that could take it, and so many in a small cluster. */
const replacedPerNode = 1;
const replacedLeast = 20;

export interface LivenessStep {
  readonly items: readonly EventItem[];
  /** Milliseconds until the next node or pod may be due; null when nothing is. */
  readonly wakeInMs: number | null;
}

/** Items for nodes that fell silent, came back or have another trouble than before, then for the pods of nodes that stayed silent. */
export function liveness(state: ReadState, view: View): LivenessStep {
  const items: EventItem[] = [];
  let wakeInMs: number | null = null;
  const wake = (ms: number): void => {
    wakeInMs = wakeInMs === null ? ms : Math.min(wakeInMs, ms);
  };
  const silent = [...state.nodes.values()].filter((node) => silenceOf(node, view) >= limits.nodeUnheardMs);
  const budget = replacementBudget(state, silent, view);
  let given = 0;
  const held = silent.length >= 2 && silent.length > state.nodes.size * massShare;
  const changing = new Set<string>();
  for (const node of state.nodes.values()) {
    const change = nodeItem(node, view, held ? silent.length : 0, state.nodes.size);
    if (change !== null) {
      items.push(change);
      changing.add(node.id);
    }
    if (node.state === "ready" && change === null) wake(limits.nodeUnheardMs - silenceOf(node, view));
  }
  for (const node of silent) {
    // What is said of it now decides from when its pods are waited for.
    if (node.state !== "unknown" || changing.has(node.id)) continue;
    for (const key of node.pods) {
      const pod = state.pods.get(key);
      if (pod === undefined || pod.state === "lost" || pod.state === "stopped" || isOver(pod)) continue;
      const waits = !pod.ended && waitsForNode(state, pod.workload);
      if (waits && pod.held !== null) continue;
      const left = remaining(state, pod, node, view, held);
      if (left > 0) wake(left);
      else if (items.length >= limits.eventItems) continue;
      else if (waits) items.push(heldItem(state, pod, node));
      else if (given >= budget.left) wake(budget.moreInMs);
      else {
        given += 1;
        items.push(lostItem(state, pod, node));
      }
    }
  }
  return { items, wakeInMs };
}

/** A node not heard this term counts from the term's start; one that was unknown before it stays so until it is heard. */
const silenceOf = (node: ReadNode, view: View): number =>
  view.heardAgoMs.get(node.id) ?? (node.state === "unknown" ? Infinity : view.termAgeMs);

/** True when a node that is heard says another trouble than the one known. The words of its message may change: no news. */
export function isNews(node: ReadNode, trouble: Trouble | null | undefined): boolean {
  return trouble !== undefined && node.state === "ready" && node.reason !== (trouble?.reason ?? "");
}

/** True when an agent that follows that log takes nothing from this one's leader; one that follows none yet takes all. */
export const isOtherLog = ({ logId, parents }: ReadState, followed: string): boolean =>
  followed !== "" && followed !== logId && !parents.includes(followed);

function nodeItem(node: ReadNode, view: View, heldCount: number, total: number): EventItem | null {
  const trouble = view.troubles.get(node.id);
  if (silenceOf(node, view) < limits.nodeUnheardMs) {
    if (node.state === "ready" && !isNews(node, trouble)) return null;
    const why = trouble ? { reason: trouble.reason, message: trouble.message } : {};
    return { kind: "node", verb: "ready", name: node.id, ...why };
  }
  const { reason, message } = whyUnknown(node, trouble, heldCount, total);
  // Said once: the count of nodes in the message may change, the reason does not.
  if (node.state === "unknown" && node.reason === reason) return null;
  return { kind: "node", verb: "unknown", name: node.id, reason, message };
}

function whyUnknown(node: ReadNode, trouble: Trouble | null | undefined, heldCount: number, total: number): Trouble {
  // Its agent speaks, and only the operator can help. A new leader that has not heard it yet believes the one before it.
  const said = trouble === undefined ? node : trouble;
  if (said?.reason === "LOG_UNKNOWN") return said;
  if (heldCount === 0) return { reason: "NODE_UNHEARD", message: `Not heard for ${limits.nodeUnheardMs / 1000} s.` };
  const message = `${heldCount} of ${total} nodes are unheard at once: their pods are not replaced for ${massHoldMs / 60_000} minutes, because the fault may be ours.`;
  return { reason: "MASS_LOSS_HELD", message };
}

/**
 * How many pods may be given up now, and when there may be more. Each is pulled and started on another node, which starts
 * a few a second: many at once would only hold each other up, and keep those nodes from all else.
 */
function replacementBudget(
  state: ReadState,
  silent: readonly ReadNode[],
  view: View,
): { readonly left: number; readonly moreInMs: number } {
  const perSecond = Math.max(replacedLeast, replacedPerNode * (state.nodes.size - silent.length));
  let used = 0;
  let oldest = 0;
  for (const node of silent) {
    for (const key of node.pods) {
      const pod = state.pods.get(key);
      if (pod?.state !== "lost") continue;
      const ago = elapsedMs(pod.since, view);
      if (ago >= 1000) continue;
      used += 1;
      oldest = Math.max(oldest, ago);
    }
  }
  return { left: perSecond - used, moreInMs: 1000 - oldest };
}

/**
 * Milliseconds until the pod is given up. For a fenced one counts what this leader itself has measured since it last heard
 * the node, or since it took the lead: nothing an earlier leader noted shortens it.
 */
function remaining(state: ReadState, pod: ReadPod, node: ReadNode, view: View, held: boolean): number {
  const spec = fencedSpec(state, pod);
  const silent = silentFor(state, pod, node, view, held);
  if (spec === null) return silent;
  const measured = Math.min(view.heardAgoMs.get(node.id) ?? view.termAgeMs, view.termAgeMs);
  return Math.max(silent, fenceWaitMs(spec, view.logReplicated) - measured);
}

/** The same by the policy alone. The node fell silent `nodeUnheardMs` before its event. */
function silentFor(state: ReadState, pod: ReadPod, node: ReadNode, view: View, held: boolean): number {
  const lostAfter = parseDurationMs(state.workloads.get(pod.workload)?.spec.lostAfter ?? "15s");
  const full = Math.max(lostAfter - limits.nodeUnheardMs, massToldMs);
  const wait = held ? Math.max(full, massHoldMs) : full;
  return Math.max(0, wait - elapsedMs(node.since, view), untilTold(node, view));
}

/**
 * Milliseconds until a new leader would have called others unheard that fell silent with the node, where the one before it may have
 * ended before it could: it counts all of them from the start of its term.
 */
function untilTold({ since }: ReadNode, { termAgeMs, before }: View): number {
  const isLate = since > before.time || before.time - since >= massToldMs;
  return isLate ? 0 : limits.nodeUnheardMs + massToldMs - termAgeMs;
}

function lostItem(state: ReadState, pod: ReadPod, node: ReadNode): EventItem {
  const message =
    fencedSpec(state, pod) === null
      ? `Node ${node.id} is unheard; a copy may still run there and is stopped when it returns.`
      : `Node ${node.id} is unheard; its agent has stopped the pod by now, unless the agent itself is gone.`;
  return { kind: "pod", verb: "lost", namespace: pod.namespace, name: pod.name, reason: "NODE_UNHEARD", message };
}

function heldItem(state: ReadState, pod: ReadPod, node: ReadNode): EventItem {
  const stays = fencedSpec(state, pod) === null ? "it may still run there" : "its agent has stopped it";
  const message = `Node ${node.id} is unheard and ${stays}; it waits for the node, as onNodeLost: hold says, until that is heard or removed.`;
  return { kind: "pod", verb: "held", namespace: pod.namespace, name: pod.name, reason: "NODE_LOST_HELD", message };
}
