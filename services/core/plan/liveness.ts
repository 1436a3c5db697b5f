// Liveness: which nodes are unheard, and which pods are given up for it.
import type { EventItem, Trouble } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { ReadNode, ReadPod, ReadState } from "../model.ts";
import { parseDurationMs } from "../quantity.ts";
import type { View } from "../view.ts";

/** More than this share of the nodes (and at least two) unheard at once is taken for a fault of our own … */
const massShare = 0.3;
/** … for this long; then the pods are replaced all the same. */
const massHoldMs = 300_000;

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
  const held = silent.length >= 2 && silent.length > state.nodes.size * massShare;
  for (const node of state.nodes.values()) {
    const change = nodeItem(node, view, held ? silent.length : 0, state.nodes.size);
    if (change !== null) items.push(change);
    if (node.state === "ready" && change === null) wake(limits.nodeUnheardMs - silenceOf(node, view));
  }
  for (const node of silent) {
    if (node.state !== "unknown") continue;
    for (const key of node.pods) {
      const pod = state.pods.get(key);
      if (pod === undefined || pod.state === "lost" || pod.state === "stopped") continue;
      const left = remaining(state, pod, node, view, held);
      if (left > 0) wake(left);
      else if (items.length < limits.eventItems) items.push(lostItem(pod, node));
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

function nodeItem(node: ReadNode, view: View, heldCount: number, total: number): EventItem | null {
  const silence = silenceOf(node, view);
  if (silence < limits.nodeUnheardMs) {
    const trouble = view.troubles.get(node.id);
    if (node.state === "ready" && !isNews(node, trouble)) return null;
    const why = trouble ? { reason: trouble.reason, message: trouble.message } : {};
    return { kind: "node", verb: "ready", name: node.id, ...why };
  }
  if (heldCount > 0) {
    const message = `${heldCount} of ${total} nodes are unheard at once: their pods are not replaced for ${massHoldMs / 60_000} minutes, because the fault may be ours.`;
    // Said once: the count of nodes in the message may change, the reason does not.
    if (node.state === "unknown" && node.reason === "MASS_LOSS_HELD") return null;
    return { kind: "node", verb: "unknown", name: node.id, reason: "MASS_LOSS_HELD", message };
  }
  if (node.state === "unknown" && node.reason === "NODE_UNHEARD") return null;
  const message = `Not heard for ${limits.nodeUnheardMs / 1000} s.`;
  return { kind: "node", verb: "unknown", name: node.id, reason: "NODE_UNHEARD", message };
}

/** Milliseconds until the pod is given up. The node fell silent `nodeUnheardMs` before its event; a clock that jumped back counts as no time passed. */
function remaining(state: ReadState, pod: ReadPod, node: ReadNode, view: View, held: boolean): number {
  const lostAfter = parseDurationMs(state.workloads.get(pod.workload)?.spec.lostAfter ?? "15s");
  const full = Math.max(lostAfter - limits.nodeUnheardMs, 0);
  const wait = held ? Math.max(full, massHoldMs) : full;
  return Math.min(wait, Math.max(0, wait - Math.max(0, view.now - node.since)));
}

function lostItem(pod: ReadPod, node: ReadNode): EventItem {
  const message = `Node ${node.id} is unheard; a copy may still run there and is stopped when it returns.`;
  return { kind: "pod", verb: "lost", namespace: pod.namespace, name: pod.name, reason: "NODE_UNHEARD", message };
}
