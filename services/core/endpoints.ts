// Which pods a service's endpoints name, and in which shard. Called by the fold, which keeps shards in step with pods.
import type { Endpoint, PodAddress, ServicePort } from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import type {
  ExternalRecord,
  Key,
  ReadExternal,
  ReadPod,
  ReadService,
  ReadState,
  ServiceRecord,
  State,
  Touched,
} from "./model.ts";
import { keyOf } from "./model.ts";
import { isEndpoint } from "./transitions.ts";

/** Room for the unevenness of hashing: shards are made for 4/5 of what one may hold. */
const endpointsPerShard = (limits.shardEndpoints * 4) / 5;

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

/** The address that answers a port of a service; undefined when none does. */
export function addressFor(addresses: readonly PodAddress[], { targetPort }: ServicePort): PodAddress | undefined {
  return addresses.find(({ name, containerPort }) => name === targetPort || containerPort === targetPort);
}

/** What proxies of a service are told about a pod, or null when it gets no new connections. */
export function endpointOf(state: ReadState, pod: ReadPod, service: ReadService): Endpoint | null {
  if (!isEndpoint(pod) || pod.node === null) return null;
  const host = state.nodes.get(pod.node)?.facts.host ?? "";
  const addresses = pod.addresses.map((address) => ({ ...address }));
  return { pod: pod.key, node: pod.node, host, addresses: toldOf(addresses, service) };
}

/** What proxies are told about an external endpoint. An address named by digits answers a targetPort that is a number. */
export function externalEndpointOf({ namespace, name, addresses }: ReadExternal, service: ReadService): Endpoint {
  const all = addresses.map((address) => ({
    name: address.name,
    ...portNamed(address.name),
    host: address.host,
    hostPort: address.port,
  }));
  return { pod: keyOf(namespace, name), node: "", host: "", external: true, addresses: toldOf(all, service) };
}

/** A name of digits is the port's number too, where it can be one: for `0` or `70000` as a number a proxy would refuse the whole shard. */
function portNamed(name: string): { containerPort?: number } {
  const containerPort = /^[1-9]\d*$/.test(name) ? Number(name) : 0;
  return containerPort >= 1 && containerPort <= 65_535 ? { containerPort } : {};
}

/** Of many addresses only those that a port of the service asks for: a pod may have a thousand. */
function toldOf(addresses: PodAddress[], { spec }: ReadService): PodAddress[] {
  if (addresses.length <= limits.endpointAddresses) return addresses;
  const answering = new Set(spec.ports.map((port) => addressFor(addresses, port)));
  return addresses.filter((address) => answering.has(address));
}

const endpointsKey = (service: ServiceRecord, part: string): string => `${service.namespace}.${service.name}.${part}`;

/** Marks the head as changed by this event, which makes all shards anew. */
function touchHead(service: ServiceRecord, sequence: number, touched: Touched): void {
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

/** Adds an external endpoint to its service, or takes note that it changed. */
export function refreshExternal(state: State, record: ExternalRecord, sequence: number, touched: Touched): void {
  const service = state.services.get(record.service);
  if (service === undefined) return;
  service.external.add(record.id);
  service.seq = sequence;
  if (growShards(state, service, sequence, touched)) return;
  const index = shardOf(keyOf(record.namespace, record.name), service.shardCount);
  service.shards.get(index)?.external.add(record.id);
  touchShard(service, index, sequence, touched);
}

/** Takes an external endpoint out of its service. */
export function removeExternal(state: State, record: ExternalRecord, sequence: number, touched: Touched): void {
  const service = state.services.get(record.service);
  if (service === undefined) return;
  service.external.delete(record.id);
  service.seq = sequence;
  const index = shardOf(keyOf(record.namespace, record.name), service.shardCount);
  service.shards.get(index)?.external.delete(record.id);
  touchShard(service, index, sequence, touched);
}

/** The key of the workload a service selects; undefined for one of external endpoints alone. */
export function selectedBy(service: ReadService): Key | undefined {
  const workload = service.spec.selector?.workload;
  return workload === undefined ? undefined : keyOf(service.namespace, workload);
}

/** Makes more shards when there may be more endpoints than before; false when there are enough. */
export function growShards(state: State, service: ServiceRecord, sequence: number, touched: Touched): boolean {
  if (service.shardCount >= shardsWanted(state, service)) return false;
  service.seq = sequence;
  rebuildShards(state, service, sequence, touched);
  return true;
}

/** As many as the endpoints there may be need, in shares of what their addresses take. */
function shardsWanted(state: State, service: ServiceRecord): number {
  const workload = state.workloads.get(selectedBy(service) ?? "");
  const endpoints = (workload?.spec.replicas ?? 0) + service.external.size;
  const targets = new Set(service.spec.ports.map(({ targetPort }) => targetPort)).size;
  const share = Math.max(1, targets / limits.endpointAddresses);
  return Math.max(1, Math.ceil((endpoints * share) / endpointsPerShard));
}

/** Makes all shards anew: for a new service, another selector, or more replicas. Shards only grow in number. */
export function rebuildShards(state: State, service: ServiceRecord, sequence: number, touched: Touched): void {
  const workload = state.workloads.get(selectedBy(service) ?? "");
  service.shardCount = Math.max(service.shardCount, shardsWanted(state, service));
  service.shards.clear();
  for (let index = 0; index < service.shardCount; index++) {
    service.shards.set(index, { pods: new Set(), external: new Set(), seq: sequence });
  }
  // Written in this order, or in part when the leader dies: by the head proxies know which shards are those of before.
  touchHead(service, sequence, touched);
  for (const index of service.shards.keys()) touchShard(service, index, sequence, touched);
  for (const id of service.external) {
    const record = state.external.get(id);
    if (record === undefined) continue;
    service.shards.get(shardOf(keyOf(record.namespace, record.name), service.shardCount))?.external.add(id);
  }
  for (const key of workload?.pods ?? []) {
    const pod = state.pods.get(key);
    if (pod === undefined || !isEndpoint(pod)) continue;
    service.shards.get(shardOf(key, service.shardCount))?.pods.add(key);
  }
}

/** Every endpoints key of a service that goes away. */
export function dropService(service: ServiceRecord, touched: Touched): void {
  touched.endpoints.add(endpointsKey(service, "head"));
  for (const index of service.shards.keys()) touched.endpoints.add(endpointsKey(service, String(index)));
}
