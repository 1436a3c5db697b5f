// Which pods a service's endpoints name, and in which shard. Called by the fold, which keeps shards in step with pods.
import type { Endpoint } from "../../schemas/generated/types.ts";
import type { Key, ReadPod, ReadState, ServiceRecord, State, Touched } from "./model.ts";
import { keyOf } from "./model.ts";
import { isEndpoint } from "./transitions.ts";

/** Room for the unevenness of hashing: shards are made for 4/5 of what one may hold. */
const pairsPerShard = 200;

/** FNV-1a, 32 bit (http://www.isthe.com/chongo/tech/comp/fnv/): spreads pod keys over shards. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** The shard of a pod within a service of that many shards. */
export function shardOf(pod: Key, shardCount: number): number {
  return hashOf(pod) % shardCount;
}

/** Shards wanted for that many replicas. */
export function shardsFor(replicas: number): number {
  return Math.max(1, Math.ceil(replicas / pairsPerShard));
}

/** What proxies are told about a pod, or null when it gets no new connections. */
export function endpointOf(state: ReadState, pod: ReadPod): Endpoint | null {
  if (!isEndpoint(pod) || pod.node === null) return null;
  const host = state.nodes.get(pod.node)?.facts.host ?? "";
  return { pod: pod.key, node: pod.node, host, addresses: pod.addresses.map((address) => ({ ...address })) };
}

const endpointsKey = (service: ServiceRecord, part: string): string => `${service.namespace}.${service.name}.${part}`;

/** Marks the head as changed by this event. */
export function touchHead(service: ServiceRecord, sequence: number, touched: Touched): void {
  service.headSeq = sequence;
  touched.endpoints.add(endpointsKey(service, "head"));
}

/** Marks a shard as changed by this event. */
function touchShard(service: ServiceRecord, index: number, sequence: number, touched: Touched): void {
  const shard = service.shards.get(index);
  if (shard !== undefined) shard.seq = sequence;
  touched.endpoints.add(endpointsKey(service, String(index)));
}

/** Brings one pod's membership in step after it changed; `changed` says that an address or host may differ. */
export function refreshPod(
  state: State,
  pod: Key,
  workload: Key,
  sequence: number,
  touched: Touched,
  changed: boolean,
): void {
  const record = state.pods.get(pod);
  const wanted = record !== undefined && isEndpoint(record);
  for (const key of state.servicesOf.get(workload) ?? []) {
    const service = state.services.get(key);
    if (service === undefined) continue;
    const index = shardOf(pod, service.shardCount);
    const shard = service.shards.get(index);
    if (shard === undefined) continue;
    const has = shard.pods.has(pod);
    if (has === wanted && !(has && changed)) continue;
    if (wanted) shard.pods.add(pod);
    else shard.pods.delete(pod);
    service.seq = sequence;
    touchShard(service, index, sequence, touched);
  }
}

/** Makes all shards anew: for a new service, another selector, or more replicas. Shards only grow in number. */
export function rebuildShards(state: State, service: ServiceRecord, sequence: number, touched: Touched): void {
  const workload = state.workloads.get(keyOf(service.namespace, service.spec.selector.workload));
  service.shardCount = Math.max(service.shardCount, shardsFor(workload?.spec.replicas ?? 0));
  service.shards.clear();
  for (let index = 0; index < service.shardCount; index++) {
    service.shards.set(index, { pods: new Set(), seq: sequence });
    touchShard(service, index, sequence, touched);
  }
  for (const key of workload?.pods ?? []) {
    const pod = state.pods.get(key);
    if (pod === undefined || !isEndpoint(pod)) continue;
    service.shards.get(shardOf(key, service.shardCount))?.pods.add(key);
  }
  touchHead(service, sequence, touched);
}

/** Every endpoints key of a service that goes away. */
export function dropService(service: ServiceRecord, touched: Touched): void {
  touched.endpoints.add(endpointsKey(service, "head"));
  for (const index of service.shards.keys()) touched.endpoints.add(endpointsKey(service, String(index)));
}
