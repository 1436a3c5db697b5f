// Items about services and their external endpoints.
import type {
  EndpointRegistered,
  EndpointRemoved,
  ServiceApplied,
  ServiceDeleted,
} from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { externalId, type Key, keyOf, type ServiceRecord } from "../model.ts";
import { dropService, rebuildShards, refreshExternal, removeExternal, selectedBy } from "../endpoints.ts";
import type { FoldContext } from "./context.ts";

export function serviceApplied(context: FoldContext, item: ServiceApplied): void {
  const { state, sequence, touched } = context;
  const key = keyOf(item.namespace, item.name);
  const known = state.services.get(key);
  if (known !== undefined) unselect(context, key, known);
  const service = known ?? {
    namespace: item.namespace,
    name: item.name,
    labels: item.labels,
    spec: item.spec,
    generation: sequence,
    headSeq: sequence,
    shards: new Map(),
    shardCount: 1,
    external: new Set(),
    seq: sequence,
  };
  service.labels = item.labels;
  service.spec = item.spec;
  service.generation = sequence;
  service.seq = sequence;
  state.services.set(key, service);
  select(context, key, service);
  touched.services.add(key);
  rebuildShards(state, service, sequence, touched);
}

export function serviceDeleted(context: FoldContext, item: ServiceDeleted): void {
  const key = keyOf(item.namespace, item.name);
  const service = context.state.services.get(key);
  if (service === undefined) return;
  unselect(context, key, service);
  for (const id of service.external) context.state.external.delete(id);
  context.state.services.delete(key);
  context.touched.services.add(key);
  dropService(service, context.touched);
}

function select({ state }: FoldContext, key: Key, service: ServiceRecord): void {
  const workload = selectedBy(service);
  if (workload === undefined) return;
  state.workloads.get(workload)?.formerServices.delete(key);
  const selecting = state.servicesOf.get(workload);
  if (selecting === undefined) state.servicesOf.set(workload, new Set([key]));
  else selecting.add(key);
}

function unselect({ state, sequence }: FoldContext, key: Key, service: ServiceRecord): void {
  const workload = selectedBy(service);
  if (workload === undefined) return;
  const selecting = state.servicesOf.get(workload);
  selecting?.delete(key);
  if (selecting?.size === 0) state.servicesOf.delete(workload);
  const former = state.workloads.get(workload)?.formerServices;
  if (former === undefined) return;
  former.delete(key);
  former.set(key, sequence);
  const [oldest] = former.keys();
  if (former.size > limits.formerServices && oldest !== undefined) former.delete(oldest);
}

export function endpointRegistered(context: FoldContext, item: EndpointRegistered): void {
  const { state, sequence, time, touched } = context;
  const { namespace, name, addresses, ttlMs } = item;
  const service = keyOf(namespace, item.service);
  if (!state.services.has(service)) return;
  const id = externalId(namespace, item.service, name);
  const record = state.external.get(id) ?? {
    id,
    namespace,
    name,
    service,
    addresses,
    ttlMs,
    since: time,
    seq: sequence,
  };
  record.addresses = addresses;
  record.ttlMs = ttlMs;
  record.seq = sequence;
  state.external.set(id, record);
  refreshExternal(state, record, sequence, touched);
}

export function endpointRemoved({ state, sequence, touched }: FoldContext, item: EndpointRemoved): void {
  const id = externalId(item.namespace, item.service, item.name);
  const record = state.external.get(id);
  if (record === undefined) return;
  state.external.delete(id);
  removeExternal(state, record, sequence, touched);
}
