// Items about pods.
import type {
  PodAssigned,
  PodChanged,
  PodPending,
  PodReported,
  PodStopping,
} from "../../../schemas/generated/types.ts";
import { type Key, keyOf, type PodRecord, type PodStateName, type WorkloadRecord } from "../model.ts";
import { refreshPod } from "../endpoints.ts";
import { fencedSpec } from "../fence.ts";
import { same } from "../same.ts";
import { isLive, mayFollow } from "../transitions.ts";
import { changePod, type FoldContext, takeRoom, touchAssignment, touchPod } from "./context.ts";
import { forgetTemplates } from "./workload.ts";

export function podPending(context: FoldContext, item: PodPending): void {
  const pod = podOf(context, item);
  changePod(context, pod, () => {
    pod.reason = item.reason;
    pod.message = item.message;
  });
}

export function podAssigned(context: FoldContext, item: PodAssigned): void {
  const pod = podOf(context, item);
  changePod(context, pod, () => {
    pod.node = item.node;
    pod.reason = "";
    pod.message = "";
    enter(context, pod, "assigned");
    context.state.nodes.get(item.node)?.pods.add(pod.key);
  });
  pod.assignment = context.sequence;
  touchAssignment(context, item.node, pod.key);
}

/** The pod an item speaks of; made, pending and without a node, when it is new. */
function podOf({ state, sequence, time }: FoldContext, item: PodPending | PodAssigned): PodRecord {
  const key = keyOf(item.namespace, item.name);
  const known = state.pods.get(key);
  if (known !== undefined) return known;
  const pod: PodRecord = {
    key,
    namespace: item.namespace,
    name: item.name,
    workload: keyOf(item.namespace, item.workload),
    slot: item.slot,
    template: item.template,
    node: null,
    state: "pending",
    desired: "run",
    unheard: false,
    held: null,
    reason: "",
    message: "",
    restarts: 0,
    exitCode: null,
    addresses: [],
    containers: [],
    since: time,
    created: time,
    ended: false,
    wasReady: false,
    leftAt: 0,
    assignment: 0,
    seq: sequence,
  };
  state.pods.set(key, pod);
  state.workloads.get(pod.workload)?.pods.add(key);
  state.podCounter = Math.max(state.podCounter, podNumber(item.name));
  return pod;
}

/** The number in a pod's name: `web-12` → 12. */
export function podNumber(name: string): number {
  return Number(name.slice(name.lastIndexOf("-") + 1)) || 0;
}

function enter({ time }: FoldContext, pod: PodRecord, state: PodStateName): void {
  if (pod.state !== state) pod.since = time;
  pod.state = state;
}

export function podReported(context: FoldContext, item: PodReported): void {
  const pod = context.state.pods.get(keyOf(item.namespace, item.name));
  if (pod === undefined) return;
  const { observed } = item;
  const workload = context.state.workloads.get(pod.workload);
  const addresses = observed.addresses ?? [];
  const moved = !same(addresses, pod.addresses);
  const isFirst = item.verb === "ready" && !pod.wasReady;
  changePod(
    context,
    pod,
    () => {
      pod.reason = observed.reason;
      pod.message = observed.message;
      pod.restarts = observed.restarts;
      pod.exitCode = observed.exitCode ?? null;
      pod.addresses = addresses;
      pod.containers = observed.containers ?? [];
      enter(context, pod, item.verb);
      if (item.verb === "ready") pod.wasReady = true;
      const policy = workload?.templates.get(pod.template)?.spec.restartPolicy;
      if (item.verb === "stopped" || (item.verb === "failed" && policy === "Never")) pod.ended = true;
    },
    moved,
  );
  if (item.verb !== "ready" || workload === undefined || workload.halted === null) return;
  const { halted, template } = workload;
  if (template.generation !== pod.template) {
    workload.halted = { ...halted, from: Math.max(halted.from ?? 0, pod.template) };
  } else if (isFirst || allReady(context.state, workload)) {
    // The template works after all: the change goes on. One that was ready before says nothing of the pod it stopped at.
    workload.halted = null;
  }
}

/** True when every living pod of the workload's template is ready, or did its work. */
function allReady({ pods }: FoldContext["state"], workload: WorkloadRecord): boolean {
  return [...workload.pods].every((key) => {
    const pod = pods.get(key);
    const isOther = pod === undefined || pod.template !== workload.template.generation || !isLive(pod);
    return isOther || pod.state === "ready" || pod.state === "stopped";
  });
}

export function podStopping(context: FoldContext, item: PodStopping): void {
  const pod = context.state.pods.get(keyOf(item.namespace, item.name));
  if (pod === undefined) return;
  changePod(context, pod, () => {
    pod.desired = item.drain ? "drain" : "stop";
    pod.reason = item.reason;
    pod.message = item.message;
    pod.leftAt = context.sequence;
    enter(context, pod, "stopping");
  });
  if (!item.drain) tellStop(context, pod);
  endChange(context.state, pod.workload);
}

/** A halted change is over once nothing is left of what it stopped at: all that lives is changed, and ready. */
function endChange({ pods, workloads }: FoldContext["state"], key: Key): void {
  const workload = workloads.get(key);
  if (workload === undefined || workload.halted === null) return;
  let count = 0;
  for (const name of workload.pods) {
    const pod = pods.get(name);
    if (pod === undefined || !isLive(pod)) continue;
    if (pod.template !== workload.template.generation || (pod.state !== "ready" && pod.state !== "stopped")) return;
    count += 1;
  }
  if (count > 0 || workload.spec.replicas === 0) workload.halted = null;
}

function tellStop(context: FoldContext, pod: PodRecord): void {
  pod.assignment = context.sequence;
  touchAssignment(context, pod.node, pod.key);
}

export function podChanged(context: FoldContext, item: PodChanged): void {
  const pod = context.state.pods.get(keyOf(item.namespace, item.name));
  if (pod === undefined) return;
  if (item.verb === "removed") {
    removePod(context, pod);
    return;
  }
  if (item.verb === "held") {
    changePod(context, pod, () => {
      pod.held = { reason: item.reason, message: item.message };
      // By now its agent has stopped it, and says so when it is heard again; until then nobody is sent there.
      const isFenced = fencedSpec(context.state, pod) !== null;
      if (isFenced && pod.desired === "run" && mayFollow(pod.state, "backoff")) enter(context, pod, "backoff");
    });
    return;
  }
  const told = pod.desired === "stop";
  changePod(context, pod, () => {
    pod.desired = "stop";
    pod.held = null;
    pod.reason = item.reason;
    pod.message = item.message;
    if (item.verb === "lost") {
      if (pod.leftAt === 0) pod.leftAt = context.sequence;
      enter(context, pod, "lost");
    }
  });
  if (!told) tellStop(context, pod);
  endChange(context.state, pod.workload);
}

/** Forgets a pod. */
export function removePod(context: FoldContext, pod: PodRecord): void {
  const { state, sequence, touched } = context;
  const workload = state.workloads.get(pod.workload);
  takeRoom(context, pod, workload, -1);
  if (pod.node !== null) state.nodes.get(pod.node)?.pods.delete(pod.key);
  touchPod(context, pod);
  touchAssignment(context, pod.node, pod.key);
  state.pods.delete(pod.key);
  state.pending.delete(pod.key);
  state.draining.delete(pod.key);
  workload?.pods.delete(pod.key);
  refreshPod(state, pod.key, pod.workload, sequence, touched, false);
  endChange(state, pod.workload);
  if (workload !== undefined) forgetTemplates(context, workload);
}
