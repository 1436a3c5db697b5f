// Draining nodes: when is one empty, and what holds it up? Called by the planner when nothing else is to be done.
import type { EventItem } from "../../../schemas/generated/types.ts";
import type { Key, ReadNode, ReadPod, ReadState } from "../model.ts";
import type { TermTime } from "../view.ts";
import { hindrance } from "./evacuate.ts";
import type { Refusal } from "./reconcile.ts";

/** Pods named in the reason of a blocked drain. */
const namedMost = 3;

/**
 * Items for nodes whose drain is over, or whose hindrance is another than the one told last. `looked` has every workload
 * whose evacuation was tried in this plan, and why its next pod found no node.
 */
export function draining(state: ReadState, looked: ReadonlyMap<Key, Refusal | null>, time: TermTime): EventItem[] {
  return [...state.nodes.values()].flatMap((node) => {
    if (node.mode !== "draining") return [];
    const pods = [...node.pods].flatMap((key) => state.pods.get(key) ?? []);
    const left = pods.filter((pod) => !pod.ended && pod.state !== "lost");
    return left.length === 0 ? [drainedItem(node, pods)] : blocked(state, node, left, looked, time);
  });
}

function drainedItem(node: ReadNode, pods: readonly ReadPod[]): EventItem {
  const isLost = pods.some((pod) => pod.state === "lost");
  const message = isLost
    ? "Its pods run elsewhere; copies may still run here, because the node is unheard."
    : "All its pods are gone.";
  return { kind: "node", verb: "cordoned", name: node.id, reason: "DRAINED", message };
}

function blocked(
  state: ReadState,
  node: ReadNode,
  left: readonly ReadPod[],
  looked: ReadonlyMap<Key, Refusal | null>,
  time: TermTime,
): EventItem[] {
  // A workload that is busy otherwise, say with a template change, says nothing about its pods yet.
  if (left.some((pod) => pod.desired === "run" && !looked.has(pod.workload))) return [];
  const told = left.flatMap((pod) => {
    const why = hindrance(state, pod, looked.get(pod.workload) ?? null, time);
    return why === null ? [] : [`Pod ${pod.name} cannot move: ${why}`];
  });
  const more = told.length > namedMost ? ` … and ${told.length - namedMost} more.` : "";
  const message = `${told.slice(0, namedMost).join(" ")}${more}`;
  if (message === node.modeMessage) return [];
  return [{ kind: "node", verb: "draining", name: node.id, reason: message === "" ? "" : "DRAIN_BLOCKED", message }];
}
