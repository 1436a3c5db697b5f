// What every item handler of the fold gets.
import type { Key, NodeRecord, PodRecord, State, Touched, WorkloadRecord } from "../model.ts";
import { refreshPod } from "../endpoints.ts";
import { holdsRoom } from "../transitions.ts";

export interface FoldContext {
  readonly state: State;
  readonly sequence: number;
  readonly eventId: string;
  /** Event time, milliseconds since 1970. */
  readonly time: number;
  readonly touched: Touched;
}

export function touchNode({ sequence, touched }: Pick<FoldContext, "sequence" | "touched">, node: NodeRecord): void {
  node.seq = sequence;
  touched.nodes.add(node.id);
}

export function touchWorkload({ sequence, touched, state }: FoldContext, key: Key): void {
  const workload = state.workloads.get(key);
  if (workload !== undefined) workload.seq = sequence;
  touched.workloads.add(key);
}

export function touchPod(context: FoldContext, pod: PodRecord): void {
  pod.seq = context.sequence;
  context.touched.pods.add(pod.key);
  touchWorkload(context, pod.workload);
}

/** The node must be told something new about the pod (or that it is gone). */
export function touchAssignment({ state, sequence, touched }: FoldContext, node: string | null, pod: Key): void {
  if (node === null) return;
  const record = state.nodes.get(node);
  if (record !== undefined) {
    record.assignment = sequence;
    touchNode({ sequence, touched }, record);
  }
  const pods = touched.assignments.get(node);
  if (pods === undefined) touched.assignments.set(node, new Set([pod]));
  else pods.add(pod);
}

/**
 * Changes a pod and keeps what depends on it in step: room on its node, endpoints, projections.
 * `addressesChanged` says that an endpoint's address may differ although it stays an endpoint.
 */
export function changePod(context: FoldContext, pod: PodRecord, change: () => void, addressesChanged = false): void {
  const { state, sequence, touched } = context;
  const workload = state.workloads.get(pod.workload);
  const held = takeRoom(context, pod, workload, -1);
  change();
  const holds = takeRoom(context, pod, workload, 1);
  const node = pod.node === null ? undefined : state.nodes.get(pod.node);
  if (held !== holds && node !== undefined) touchNode(context, node);
  if (pod.state === "pending") state.pending.add(pod.key);
  else state.pending.delete(pod.key);
  if (pod.desired === "drain") state.draining.add(pod.key);
  else state.draining.delete(pod.key);
  touchPod(context, pod);
  refreshPod(state, pod.key, pod.workload, sequence, touched, addressesChanged);
}

/** Adds (1) or gives back (-1) what the pod holds on its node; false when it holds nothing. */
export function takeRoom(
  context: FoldContext,
  pod: PodRecord,
  workload: WorkloadRecord | undefined,
  sign: 1 | -1,
): boolean {
  if (pod.node === null || !holdsRoom(pod)) return false;
  const node = context.state.nodes.get(pod.node);
  const requests = workload?.templates.get(pod.template)?.requests;
  if (node === undefined || requests === undefined) return false;
  node.reserved.cpuMillis += sign * requests.cpuMillis;
  node.reserved.memoryBytes += sign * requests.memoryBytes;
  node.holding += sign;
  return true;
}
