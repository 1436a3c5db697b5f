// A folded state as lines of plain JSON: what a snapshot and a backup hold. Everything a later fold depends on is in it,
// the order of maps and sets included, so that equal states give equal lines and only they do. `decode.ts` reads them.
import type { SnapshotHeader, SnapshotLine } from "../../../schemas/generated/types.ts";
import type { ReadNode, ReadPod, ReadService, ReadState, ReadWorkload } from "../model.ts";

/** Keys and operations on one line: no line grows with the cluster. */
const batch = 1000;

/** The lines of a state, the header first; no line holds a line break. The state must not change before the last one is taken. */
export function* encodeState(state: ReadState): Generator<string> {
  for (const line of linesOf(state)) yield JSON.stringify(line);
}

function* linesOf(state: ReadState): Generator<Plain<SnapshotLine>> {
  yield { header: headerOf(state) };
  // Pods come first: what names them shares their keys when it is read.
  for (const pod of state.pods.values()) yield { pod: podLine(pod) };
  for (const node of state.nodes.values()) yield { node: nodeLine(node) };
  for (const workload of state.workloads.values()) yield { workload: workloadLine(workload) };
  for (const service of state.services.values()) yield { service: serviceLine(service) };
  for (const external of state.external.values()) yield { external };
  for (const autoscaler of state.autoscalers.values()) yield { autoscaler };
  for (const [workload, services] of state.servicesOf) yield { selected: { workload, services: [...services] } };
  for (const [workload, autoscaler] of state.autoscalerOf) yield { scaled: { workload, autoscaler } };
  for (const pending of batches(state.pending)) yield { pending };
  for (const draining of batches(state.draining)) yield { draining };
  for (const some of batches(state.operations)) {
    yield { operations: some.map(([id, sequence]) => ({ id, sequence })) };
  }
}

/** A generated type as it may be made of read-only parts. */
type Plain<T> = T extends readonly (infer V)[]
  ? readonly Plain<V>[]
  : T extends object
    ? { readonly [K in keyof T]: Plain<T[K]> }
    : T;

function headerOf(state: ReadState): Plain<SnapshotHeader> {
  const { logId, parents, clusterUid, sequence, accepted, lastEventId, epoch, leader, time, foreign, podCounter } =
    state;
  const counts = {
    nodes: state.nodes.size,
    workloads: state.workloads.size,
    services: state.services.size,
    pods: state.pods.size,
    external: state.external.size,
    autoscalers: state.autoscalers.size,
    operations: state.operations.size,
  };
  const chain = { logId, parents, clusterUid, sequence, accepted, lastEventId, epoch };
  return { format: 1, ...chain, leader, time, foreign, podCounter, counts };
}

function podLine(pod: ReadPod): Plain<NonNullable<SnapshotLine["pod"]>> {
  const { key: _, ...rest } = pod;
  return rest;
}

function nodeLine(node: ReadNode): Plain<NonNullable<SnapshotLine["node"]>> {
  return { ...node, pods: [...node.pods] };
}

function workloadLine(workload: ReadWorkload): Plain<NonNullable<SnapshotLine["workload"]>> {
  // What a template takes on a node follows from its spec.
  const templates = [...workload.templates.values()].map(({ generation, eventId, spec }) => ({
    generation,
    ...(eventId === "" ? {} : { eventId }),
    spec,
  }));
  const { formerServices, ...rest } = workload;
  const former = [...formerServices].map(([service, sequence]) => ({ service, sequence }));
  return {
    ...rest,
    template: workload.template.generation,
    templates,
    pods: [...workload.pods],
    ...(former.length === 0 ? {} : { former }),
  };
}

function serviceLine(service: ReadService): Plain<NonNullable<SnapshotLine["service"]>> {
  const shards = [...service.shards].map(([index, { pods, external, seq }]) => ({
    index,
    pods: [...pods],
    external: [...external],
    seq,
  }));
  return { ...service, shards, external: [...service.external] };
}

function* batches<T>(values: Iterable<T>): Generator<T[]> {
  let some: T[] = [];
  for (const value of values) {
    some.push(value);
    if (some.length < batch) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}
