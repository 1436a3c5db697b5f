// What leaders may take from what serves: a pod that is ready is stopped for a change, a drain or a smaller number only where the
// workload goes on without it. Each event is looked at before it is folded.
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import { fencedSpec, isStuck } from "../../services/core/fence.ts";
import { type Key, keyOf, type PodRecord, type State, type WorkloadRecord } from "../../services/core/model.ts";
import { isLive, isOver } from "../../services/core/transitions.ts";
import { brokenHold } from "./holds.ts";

const reasons: ReadonlySet<string> = new Set(["TEMPLATE_CHANGED", "NODE_DRAINED", "SCALED_DOWN"]);
/** Pods of one workload that are made within a minute: of those that come and go with all faults together there are some thirty. */
const mostMade = 150;
const windowMs = 60_000;

type PodItem = Extract<EventItem, { kind: "pod" }>;

export class Planned {
  private readonly now: () => number;
  private readonly violate: (invariant: string, message: string) => void;
  /** Workload → when its last pods were made. */
  private readonly made = new Map<Key, number[]>();

  constructor(now: () => number, violate: (invariant: string, message: string) => void) {
    this.now = now;
    this.violate = violate;
  }

  /** The event is the next of the log, and not in the state yet. */
  onEvent(state: State, event: Event, sequence: number): void {
    const pods = event.items.filter((item): item is PodItem => item.kind === "pod");
    for (const item of pods) {
      this.onMade(state, item, sequence);
      const wrong = brokenHold(state, event, item);
      if (wrong !== null) this.violate("hold", `event ${sequence}: ${wrong}`);
    }
    const stops = new Map<Key, string>();
    for (const item of pods) {
      if (item.verb === "stopping" && reasons.has(item.reason))
        stops.set(keyOf(item.namespace, item.name), item.reason);
    }
    this.onScaledDown(state, stops, sequence);
    for (const [key, reason] of stops) {
      const pod = state.pods.get(key);
      const workload = state.workloads.get(pod?.workload ?? "");
      if (pod === undefined || workload === undefined || !serves(pod)) continue;
      const wrong = wrongWith(state, workload, { pod, reason }, stops);
      if (wrong === null) continue;
      this.violate("7", `event ${sequence}: ${key} stops (${reason}) ${wrong}: ${described(state, workload)}`);
    }
  }

  /** A smaller number leaves as many slots as are wished for. */
  private onScaledDown(state: State, stops: ReadonlyMap<Key, string>, sequence: number): void {
    const smaller = new Set<Key>();
    for (const [key, reason] of stops) {
      if (reason === "SCALED_DOWN") smaller.add(state.pods.get(key)?.workload ?? "");
    }
    for (const key of smaller) {
      const workload = state.workloads.get(key);
      if (workload === undefined) continue;
      const isLeft = (pods: readonly PodRecord[]): boolean => pods.some((pod) => stops.get(pod.key) !== "SCALED_DOWN");
      const left = [...slotsOf(state, workload).values()].filter(isLeft).length;
      if (left >= (workload.spec.replicas ?? 1)) continue;
      this.violate("6", `event ${sequence}: a smaller number leaves ${left} slots: ${described(state, workload)}`);
    }
  }

  private onMade(state: State, item: PodItem, sequence: number): void {
    const isRemoved = item.verb === "removed" && item.reason === "NODE_REMOVED";
    if (item.verb === "lost" || isRemoved) this.onLost(state, keyOf(item.namespace, item.name));
    if ((item.verb !== "assigned" && item.verb !== "pending") || state.pods.has(keyOf(item.namespace, item.name)))
      return;
    const key = keyOf(item.namespace, item.workload);
    const made = [...(this.made.get(key) ?? []), this.now()].filter((at) => at > this.now() - windowMs);
    this.made.set(key, made);
    const most = mostMade + (state.workloads.get(key)?.spec.replicas ?? 0);
    if (made.length === most) this.violate("4", `event ${sequence}: ${most} pods of ${key} were made within a minute`);
  }

  /** Another one is made in place of one that went with its node, which is no growth. */
  private onLost(state: State, pod: Key): void {
    this.made.get(state.pods.get(pod)?.workload ?? "")?.shift();
  }
}

/** Why the workload cannot do without the pod that is to stop; null when it can. */
function wrongWith(
  state: State,
  workload: WorkloadRecord,
  { pod, reason }: { readonly pod: PodRecord; readonly reason: string },
  stops: ReadonlyMap<Key, string>,
): string | null {
  const slots = slotsOf(state, workload);
  if (reason === "SCALED_DOWN") {
    const isIdle = (pods: readonly PodRecord[]): boolean =>
      pods.some(({ key }) => !stops.has(key)) && !pods.some((one) => serves(one) || isDone(one));
    return [...slots.values()].some(isIdle) ? "while a slot stays that does not serve" : null;
  }
  const own = slots.get(pod.slot) ?? [];
  if (own.some((one) => !stops.has(one.key) && (serves(one) || isDone(one)))) return null;
  const { spec, hostPorts } = workload.template;
  const goesFirst =
    own.some((one) => fencedSpec(state, one) !== null) ||
    (reason === "TEMPLATE_CHANGED" && (spec.fence === true || hostPorts.length > 0));
  if (!goesFirst) return "and nothing serves in its slot";
  // One that has to stop before the next can start goes alone.
  for (const [slot, pods] of slots) {
    const isWaitedFor = pods.some((one) => isStuck(state, one) || one.held !== null);
    const isOut = pods.every((one) => isOver(one) || one.state === "failed");
    if (slot === pod.slot || isWaitedFor || isOut || pods.some((one) => serves(one) || isDone(one))) continue;
    return `while slot ${slot} does not serve`;
  }
  return null;
}

const serves = (pod: PodRecord): boolean => isLive(pod) && pod.state === "ready" && !pod.unheard;

const isDone = (pod: PodRecord): boolean => pod.state === "stopped" && isOver(pod);

/** Slot → the pods that count for it. */
export function slotsOf({ pods }: State, workload: WorkloadRecord): Map<number, PodRecord[]> {
  const slots = new Map<number, PodRecord[]>();
  for (const key of workload.pods) {
    const pod = pods.get(key);
    if (pod !== undefined && isLive(pod)) slots.set(pod.slot, [...(slots.get(pod.slot) ?? []), pod]);
  }
  return slots;
}

/** A workload and its pods in a line. */
export function described({ pods }: State, { name, spec, template, halted, pods: keys }: WorkloadRecord): string {
  const shown = [...keys].flatMap((key) => pods.get(key) ?? []).map(shownPod);
  return `${name}, ${spec.replicas} replicas, template ${template.generation}${halted === null ? "" : ", halted"}: ${shown.join(", ")}`;
}

export const shownPod = (pod: PodRecord): string =>
  `${pod.name} in ${pod.slot} of ${pod.template} on ${pod.node} ${pod.state}/${pod.desired}${pod.unheard ? " unheard" : ""} ${pod.reason}`;
