// Projections: the state as objects people and proxies read. A pure function of the state, so that anyone who folds the
// log gets the same bytes. Called by the projector, the API and `swain state verify`.
import type {
  AutoscaleEvaluation,
  AutoscalerObject,
  DesiredObject,
  EndpointObject,
  EndpointsHead,
  EndpointsShard,
  NodeObject,
  PodObject,
  ServiceObject,
  ServiceSpec,
  Traffic,
  WorkloadObject,
} from "../../schemas/generated/types.ts";
import { type BucketName, keys as keysOf } from "../bus/subjects.ts";
import { endpointOf, externalEndpointOf } from "./endpoints.ts";
import { type Key, keyOf, type ReadPod, type ReadState, type ReadWorkload, type Touched } from "./model.ts";
import { isLive, shownState } from "./transitions.ts";

type ReadonlyDeep<T> = T extends object ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> } : T;
type Projected<T> = ReadonlyDeep<T>;

/** The exact value of a KV key, or null when there is no such key. */
export function projection(state: ReadState, bucket: BucketName, key: string): string | null {
  const value = objectOf(state, bucket, key);
  return value === null ? null : JSON.stringify(value);
}

/** Somebody else may have put a key there that is spelled almost like one: only the exact one has a value. */
function objectOf(state: ReadState, bucket: BucketName, key: string): unknown {
  const [first = "", second = "", third = ""] = key.split(".");
  switch (bucket) {
    case "desired":
      return key === keysOf.desired(first, second, third) ? desiredObject(state, first, keyOf(second, third)) : null;
    case "workloads":
      return key === keysOf.workload(first, second) ? workloadObject(state, keyOf(first, second)) : null;
    case "nodes":
      return nodeObject(state, key);
    case "pods":
      return key === keysOf.pod(first, second) ? podObject(state, keyOf(first, second)) : null;
    case "endpoints": {
      const shard = Number(third);
      if (key === keysOf.endpointsHead(first, second)) return endpointsHead(state, keyOf(first, second));
      return key === keysOf.endpointsShard(first, second, shard)
        ? endpointsShard(state, keyOf(first, second), shard)
        : null;
    }
  }
}

/** Every key the bucket should hold, sorted. */
export function projectionKeys(state: ReadState, bucket: BucketName): string[] {
  return unsortedKeys(state, bucket).toSorted();
}

function unsortedKeys(state: ReadState, bucket: BucketName): string[] {
  const workloads = [...state.workloads.values()];
  const services = [...state.services.values()];
  switch (bucket) {
    case "desired":
      return [
        ...workloads.map(({ namespace, name }) => keysOf.desired("workload", namespace, name)),
        ...services.map(({ namespace, name }) => keysOf.desired("service", namespace, name)),
        ...[...state.autoscalers.values()].map(({ namespace, name }) => keysOf.desired("autoscaler", namespace, name)),
      ];
    case "workloads":
      return workloads.map(({ namespace, name }) => keysOf.workload(namespace, name));
    case "nodes":
      return [...state.nodes.keys()];
    case "pods":
      return [...state.pods.values()].map(({ namespace, name }) => keysOf.pod(namespace, name));
    case "endpoints":
      return services.flatMap(({ namespace, name, shards }) =>
        [keysOf.endpointsHead(namespace, name)].concat(
          [...shards.keys()].map((shard) => keysOf.endpointsShard(namespace, name, shard)),
        ),
      );
  }
}

/** The KV keys whose value an event may have changed. */
export function touchedKeys(touched: Touched): { bucket: BucketName; key: string }[] {
  const dotted = (key: Key): string => key.replace("/", ".");
  const list: { bucket: BucketName; key: string }[] = [];
  for (const key of touched.endpoints) list.push({ bucket: "endpoints", key });
  for (const key of touched.services) list.push({ bucket: "desired", key: `service.${dotted(key)}` });
  for (const key of touched.autoscalers) list.push({ bucket: "desired", key: `autoscaler.${dotted(key)}` });
  for (const key of touched.desired) list.push({ bucket: "desired", key: `workload.${dotted(key)}` });
  for (const key of touched.workloads) list.push({ bucket: "workloads", key: dotted(key) });
  for (const key of touched.nodes) list.push({ bucket: "nodes", key });
  for (const key of touched.pods) list.push({ bucket: "pods", key: dotted(key) });
  return list;
}

const desiredKinds = { workload: "Workload", service: "Service", autoscaler: "Autoscaler" } as const;

/** What was applied. `kind` is `workload`, `service` or `autoscaler`. */
export function desiredObject(state: ReadState, kind: string, key: Key): Projected<DesiredObject> | null {
  if (!isDesiredKind(kind)) return null;
  const record = state[`${kind}s`].get(key);
  if (record === undefined) return null;
  return {
    apiVersion: "swain/v1",
    kind: desiredKinds[kind],
    metadata: metadataOf(record),
    spec: record.spec,
    logId: state.logId,
    sequence: record.generation,
  } as Projected<DesiredObject>;
}

const isDesiredKind = (kind: string): kind is keyof typeof desiredKinds => Object.hasOwn(desiredKinds, kind);

export function workloadObject(state: ReadState, key: Key): Projected<WorkloadObject> | null {
  const workload = state.workloads.get(key);
  if (workload === undefined) return null;
  return {
    apiVersion: "swain/v1",
    kind: "Workload",
    metadata: metadataOf(workload),
    spec: workload.spec,
    status: workloadStatus(state, workload),
    logId: state.logId,
    sequence: workload.seq,
  } as Projected<WorkloadObject>;
}

function workloadStatus(state: ReadState, workload: ReadWorkload): Projected<WorkloadObject["status"]> {
  const all = [...workload.pods].flatMap((key) => state.pods.get(key) ?? []);
  const live = all.filter(isLive);
  const replicas = workload.spec.replicas ?? 1;
  const ready = live.filter((pod) => pod.state === "ready" && !pod.unheard).length;
  const updated = live.filter((pod) => pod.template === workload.template.generation).length;
  const leaving = all.some((pod) => pod.desired !== "run" && pod.state !== "lost");
  // Also one on its way out: until its node is heard nobody knows that it is gone.
  const waiting = all.find((pod) => pod.held !== null);
  const settled = !leaving && waiting === undefined && live.length === replicas && updated === replicas;
  const pending =
    waiting ??
    live.find((pod) => pod.state === "pending" || pod.state === "failed" || pod.state === "backoff") ??
    live.find((pod) => pod.state !== "ready" && pod.state !== "stopped" && pod.reason !== "") ??
    live.find((pod) => shownState(pod) === "unknown");
  const why = pending === undefined ? null : whyOf(pending);
  const phase = workload.deleting
    ? "deleting"
    : workload.halted !== null
      ? "halted"
      : settled && live.every((pod) => pod.state === "ready" || pod.state === "stopped")
        ? "steady"
        : "progressing";
  return {
    replicas,
    pods: live.length,
    ready,
    updated,
    phase,
    reason: workload.halted?.reason ?? why?.reason ?? "",
    message: workload.halted?.message ?? (why === null ? "" : `${pending?.name}: ${why.message}`),
  };
}

/** Why a pod is as it is: that it waits for its node, or that this is unheard, comes before what was last known of it. */
function whyOf(pod: ReadPod): { readonly reason: string; readonly message: string } {
  if (pod.held !== null) return pod.held;
  return shownState(pod) === "unknown" ? { reason: "NODE_UNHEARD", message: `Node ${pod.node} is unheard.` } : pod;
}

/** For the API only, which knows what is seen now; KV holds the desired object. */
export function autoscalerObject(
  state: ReadState,
  key: Key,
  now: AutoscaleEvaluation,
): Projected<AutoscalerObject> | null {
  const autoscaler = state.autoscalers.get(key);
  if (autoscaler === undefined) return null;
  return {
    apiVersion: "swain/v1",
    kind: "Autoscaler",
    metadata: metadataOf(autoscaler),
    spec: autoscaler.spec,
    status: { ...(autoscaler.last === null ? {} : { last: autoscaler.last }), now },
    logId: state.logId,
    sequence: autoscaler.seq,
  } as Projected<AutoscalerObject>;
}

/** For the API only; KV holds the desired object and the endpoints. */
export function serviceObject(state: ReadState, key: Key): Projected<ServiceObject> | null {
  const service = state.services.get(key);
  if (service === undefined) return null;
  const endpoints = [...service.shards.values()].reduce(
    (sum, { pods, external }) => sum + pods.size + external.size,
    0,
  );
  return {
    apiVersion: "swain/v1",
    kind: "Service",
    metadata: metadataOf(service),
    spec: service.spec,
    status: { endpoints, external: service.external.size },
    logId: state.logId,
    sequence: service.seq,
  } as Projected<ServiceObject>;
}

/** For the API only; KV has it in its service's endpoints. `id` is `namespace/service/name`. */
export function endpointObject(state: ReadState, id: string): Projected<EndpointObject> | null {
  const record = state.external.get(id);
  if (record === undefined) return null;
  const { namespace, name, addresses, ttlMs, since, seq } = record;
  const service = state.services.get(record.service)?.name ?? "";
  return {
    apiVersion: "swain/v1",
    kind: "Endpoint",
    metadata: { name, namespace },
    spec: { service, addresses, ttlMs },
    status: { since },
    logId: state.logId,
    sequence: seq,
  };
}

export function nodeObject(state: ReadState, id: string): Projected<NodeObject> | null {
  const node = state.nodes.get(id);
  if (node === undefined) return null;
  return {
    apiVersion: "swain/v1",
    kind: "Node",
    metadata: { name: id, labels: node.facts.labels },
    facts: node.facts,
    status: {
      state: node.state,
      since: node.since,
      mode: node.mode,
      reason: node.reason || node.modeReason,
      message: node.reason === "" ? node.modeMessage : node.message,
      assignment: node.assignment,
      reserved: node.reserved,
      pods: node.pods.size,
    },
    clusterUid: state.clusterUid,
    logId: state.logId,
    sequence: node.seq,
  };
}

export function podObject(state: ReadState, key: Key): Projected<PodObject> | null {
  const pod = state.pods.get(key);
  if (pod === undefined) return null;
  const labels = state.workloads.get(pod.workload)?.labels ?? {};
  return {
    apiVersion: "swain/v1",
    kind: "Pod",
    metadata: { name: pod.name, namespace: pod.namespace, labels },
    spec: {
      workload: pod.workload.slice(pod.namespace.length + 1),
      slot: pod.slot,
      template: pod.template,
      ...(pod.node === null ? {} : { node: pod.node }),
    },
    status: {
      state: shownState(pod),
      since: pod.since,
      created: pod.created,
      reason: whyOf(pod).reason,
      message: whyOf(pod).message,
      restarts: pod.restarts,
      ...(pod.exitCode === null ? {} : { exitCode: pod.exitCode }),
      possiblyRunning: pod.state === "lost" || pod.held !== null,
      addresses: pod.addresses,
      containers: pod.containers,
    },
    logId: state.logId,
    sequence: pod.seq,
  };
}

function endpointsHead(state: ReadState, key: Key): Projected<EndpointsHead> | null {
  const service = state.services.get(key);
  if (service === undefined) return null;
  return {
    logId: state.logId,
    sequence: service.headSeq,
    namespace: service.namespace,
    service: service.name,
    ports: service.spec.ports,
    shards: service.shardCount,
    ...trafficOf(service.spec),
  };
}

/** How proxies balance, as the manifest says it. A service that says nothing keeps a head without it. */
function trafficOf(spec: Projected<ServiceSpec>): { traffic?: Projected<Traffic> } {
  const { balance, sticky, check, ejection, proxyProtocol, maxConnections, maxConnectionsPerBackend } = spec;
  const all = { balance, sticky, check, ejection, proxyProtocol, maxConnections, maxConnectionsPerBackend };
  const said = Object.entries(all).filter(([, value]) => value !== undefined);
  return said.length === 0 ? {} : { traffic: Object.fromEntries(said) };
}

function endpointsShard(state: ReadState, key: Key, index: number): Projected<EndpointsShard> | null {
  const service = state.services.get(key);
  const shard = service?.shards.get(index);
  if (service === undefined || shard === undefined) return null;
  const endpoints = [...shard.pods].toSorted().flatMap((pod) => {
    const record = state.pods.get(pod);
    return record === undefined ? [] : (endpointOf(state, record, service) ?? []);
  });
  const external = [...shard.external].toSorted().flatMap((id) => {
    const record = state.external.get(id);
    return record === undefined ? [] : externalEndpointOf(record, service);
  });
  return { logId: state.logId, sequence: shard.seq, endpoints: [...endpoints, ...external] };
}

function metadataOf(record: {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly generation: number;
}): unknown {
  return { name: record.name, namespace: record.namespace, labels: record.labels, generation: record.generation };
}
