// list and get: the objects as they are in KV, straight from the state.
import { listRequest } from "../../../schemas/generated/messages.js";
import type { ListReply, ListRequest } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { keyOf } from "../../core/model.ts";
import type { ReadState } from "../../core/model.ts";
import {
  autoscalerObject,
  endpointObject,
  nodeObject,
  podObject,
  serviceObject,
  workloadObject,
} from "../../core/project.ts";
import { SwainError } from "../../kernel/errors.ts";
import { jsonBytes } from "../record.ts";
import { checked, namespaced } from "./request.ts";
import type { ApiHost, ApiRequest, Handler } from "./request.ts";

export type ObjectKind = "pod" | "workload" | "service" | "node" | "endpoint" | "autoscaler";

/** Objects on a page when the caller does not say. */
export const defaultLimit = 500;
/** Room for what surrounds the items of a page. */
export const envelopeBytes = 1024;

const tables = {
  pod: (state: ReadState) => state.pods,
  workload: (state: ReadState) => state.workloads,
  service: (state: ReadState) => state.services,
  node: (state: ReadState) => state.nodes,
  endpoint: (state: ReadState) => state.external,
  autoscaler: (state: ReadState) => state.autoscalers,
} as const satisfies Record<ObjectKind, (state: ReadState) => ReadonlyMap<string, unknown>>;

const objects = {
  pod: ({ state }, key) => podObject(state, key),
  workload: ({ state }, key) => workloadObject(state, key),
  service: ({ state }, key) => serviceObject(state, key),
  node: ({ state }, key) => nodeObject(state, key),
  endpoint: ({ state }, key) => endpointObject(state, key),
  autoscaler: ({ state, explain }, key) => {
    const now = explain(key);
    return now === null ? null : autoscalerObject(state, key, now);
  },
} as const satisfies Record<ObjectKind, (host: ApiHost, key: string) => object | null>;

export const list =
  (kind: ObjectKind): Handler =>
  async (host, request) => {
    const query = checked(listRequest, "list-request", request.body ?? {});
    await host.reached(query.minSeq ?? 0);
    return page(host, kind, request, query);
  };

export const get =
  (kind: ObjectKind): Handler =>
  async (host, request) => {
    const { name, minSeq } = checked(listRequest, "list-request", request.body);
    if (name === undefined) throw new SwainError("INVALID_REQUEST", "get needs the name of one object");
    await host.reached(minSeq ?? 0);
    const key = kind === "node" ? name : keyOf(namespaced(request), name);
    const found = objects[kind](host, key);
    if (found === null) {
      const where = kind === "node" ? "" : ` in namespace ${request.namespace ?? ""}`;
      throw new SwainError("NOT_FOUND", `There is no ${kind} ${name}${where}.`);
    }
    return reply(host.state, [found]);
  };

function page(host: ApiHost, kind: ObjectKind, { namespace }: ApiRequest, query: ListRequest): ListReply {
  const { state } = host;
  const prefix = namespace === undefined || kind === "node" ? "" : `${namespace}/`;
  const most = query.limit ?? defaultLimit;
  const keys = nextKeys(tables[kind](state).keys(), prefix, query, most);
  const items: object[] = [];
  let bytes = envelopeBytes;
  let last = "";
  for (const key of keys) {
    if (items.length >= most) return reply(state, items, last);
    const item = objects[kind](host, key);
    if (item === null) continue;
    bytes += jsonBytes(item) + 1;
    if (items.length > 0 && bytes > limits.pageBytes) return reply(state, items, last);
    items.push(item);
    last = key;
  }
  return reply(state, items);
}

/** Keys for one page and one more, in order. Sorts only what may be on the page: a large table is asked for page by page. */
export function nextKeys(all: Iterable<string>, prefix: string, query: ListRequest, most: number): string[] {
  const { after = "", name } = query;
  let keys: string[] = [];
  let bound: string | undefined;
  for (const key of all) {
    if (key <= after || !key.startsWith(prefix) || (bound !== undefined && key > bound)) continue;
    if (name !== undefined && key !== name && !key.endsWith(`/${name}`)) continue;
    keys.push(key);
    if (keys.length <= 4 * (most + 1)) continue;
    keys = keys.sort().slice(0, most + 1);
    bound = keys.at(-1);
  }
  return keys.sort().slice(0, most + 1);
}

function reply({ epoch, sequence }: ReadState, items: readonly object[], next?: string): ListReply {
  return { epoch, sequence, items: items as ListReply["items"], ...(next === undefined ? {} : { next }) };
}
