// Whether pods whose workload says `onNodeLost: hold` wait for a node that is unheard, until it is heard again or removed: none is
// given up, and none gets another beside it in its slot. Each event is looked at before it is folded.
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import { keyOf, type PodRecord, type State, type WorkloadRecord } from "../../services/core/model.ts";
import { isLive } from "../../services/core/transitions.ts";

type PodItem = Extract<EventItem, { kind: "pod" }>;

/** What an item does to a pod that waits for its node; null where it does nothing to one. */
export function brokenHold(state: State, { items }: Event, item: PodItem): string | null {
  if (item.verb === "lost") {
    const pod = state.pods.get(keyOf(item.namespace, item.name));
    return pod !== undefined && waits(state, pod) ? `${pod.key} is given up, though it waits for ${pod.node}` : null;
  }
  if (item.verb !== "assigned" && item.verb !== "pending") return null;
  const key = keyOf(item.namespace, item.name);
  const workload = state.workloads.get(keyOf(item.namespace, item.workload));
  if (state.pods.has(key) || workload?.spec.onNodeLost !== "hold") return null;
  // What the same event says of a node is known to who makes a pod with it.
  const isNews = (node: string | null): boolean => items.some(({ kind, name }) => kind === "node" && name === node);
  for (const one of workload.pods) {
    const pod = state.pods.get(one);
    if (pod?.slot !== item.slot || !pod.unheard || !waits(state, pod) || isNews(pod.node)) continue;
    if (isLeft(state, workload, pod) || isGoneBackFrom(workload, pod, item.template)) continue;
    return `${key} is made beside ${one}, which waits for ${pod.node}`;
  }
  return null;
}

/** One on its way out leaves its slot to the one that is to run in it, and to what takes the place of that. */
function isLeft({ pods }: State, workload: WorkloadRecord, pod: PodRecord): boolean {
  const others = [...workload.pods].flatMap((key) => pods.get(key) ?? []).filter(({ slot }) => slot === pod.slot);
  return pod.desired !== "run" && others.some((other) => other !== pod && isLive(other));
}

/** A change that is halted goes back to the template before it, beside what never came to work. */
const isGoneBackFrom = ({ halted }: WorkloadRecord, pod: PodRecord, template: number): boolean =>
  halted !== null && halted.from === template && pod.template !== template && !pod.wasReady;

/** One that ended before its node fell silent waits for nothing, nor does one that was given up while another policy held. */
function waits({ workloads }: State, pod: PodRecord): boolean {
  const workload = workloads.get(pod.workload);
  const isHeld = workload?.spec.onNodeLost === "hold" && !workload.deleting;
  return isHeld && !pod.ended && pod.state !== "lost";
}
