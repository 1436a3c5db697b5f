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
  const inSlotOf = slotted(state);
  return [...state.nodes.values()].flatMap((node) => {
    if (node.mode !== "draining") return [];
    const pods = [...node.pods].flatMap((key) => state.pods.get(key) ?? []);
    const left = pods.filter((pod) => !pod.ended && pod.state !== "lost");
    return left.length === 0 ? [drainedItem(node, pods)] : blocked({ state, inSlotOf, looked, time }, node, left);
  });
}

function drainedItem(node: ReadNode, pods: readonly ReadPod[]): EventItem {
  const isLost = pods.some((pod) => pod.state === "lost");
  const message = isLost
    ? "Its pods run elsewhere; copies may still run here, because the node is unheard."
    : "All its pods are gone.";
  return { kind: "node", verb: "cordoned", name: node.id, reason: "DRAINED", message };
}

/** All pods in the slot of a pod. Each workload is sorted once, whatever number of its pods is asked for. */
type InSlotOf = (pod: ReadPod) => readonly ReadPod[];

function slotted(state: ReadState): InSlotOf {
  const sorted = new Map<Key, Map<number, ReadPod[]>>();
  const sort = (workload: Key): Map<number, ReadPod[]> => {
    const slots = new Map<number, ReadPod[]>();
    sorted.set(workload, slots);
    for (const key of state.workloads.get(workload)?.pods ?? []) {
      const pod = state.pods.get(key);
      if (pod !== undefined) slots.set(pod.slot, [...(slots.get(pod.slot) ?? []), pod]);
    }
    return slots;
  };
  return ({ workload, slot }) => (sorted.get(workload) ?? sort(workload)).get(slot) ?? [];
}

interface Known {
  readonly state: ReadState;
  readonly inSlotOf: InSlotOf;
  readonly looked: ReadonlyMap<Key, Refusal | null>;
  readonly time: TermTime;
}

function blocked({ state, inSlotOf, looked, time }: Known, node: ReadNode, left: readonly ReadPod[]): EventItem[] {
  // A workload that is busy otherwise, say with a template change, says nothing about its pods yet.
  if (left.some((pod) => pod.desired === "run" && !looked.has(pod.workload))) return [];
  const told = left.flatMap((pod) => {
    const why = hindrance(state, pod, inSlotOf(pod), looked.get(pod.workload) ?? null, time);
    return why === null ? [] : [`Pod ${pod.name} cannot move: ${why}`];
  });
  const more = told.length > namedMost ? ` … and ${told.length - namedMost} more.` : "";
  const message = `${told.slice(0, namedMost).join(" ")}${more}`;
  if (message === node.modeMessage) return [];
  return [{ kind: "node", verb: "draining", name: node.id, reason: message === "" ? "" : "DRAIN_BLOCKED", message }];
}
