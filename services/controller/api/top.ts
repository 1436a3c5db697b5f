// pod.top and node.top: what pods and nodes use, beside what they reserved or have. The figures live in the leader's memory.
import { listRequest } from "../../../schemas/generated/messages.js";
import type { ListRequest, TopItem, TopReply } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { ReadPod } from "../../core/model.ts";
import { jsonBytes } from "../record.ts";
import { defaultLimit, envelopeBytes, nextKeys } from "./objects.ts";
import { checked } from "./request.ts";
import type { ApiHost, Handler } from "./request.ts";

/** Pods of the namespace or, without one, of all; those without fresh figures are in it without a use. */
export const topPods: Handler = async (host, request) => {
  const query = checked(listRequest, "list-request", request.body ?? {});
  await host.reached(query.minSeq ?? 0);
  const prefix = request.namespace === undefined ? "" : `${request.namespace}/`;
  return page(host, nextKeys(host.state.pods.keys(), prefix, query, limitOf(query)), query, (key) =>
    podItem(host, key),
  );
};

export const topNodes: Handler = async (host, request) => {
  const query = checked(listRequest, "list-request", request.body ?? {});
  await host.reached(query.minSeq ?? 0);
  return page(host, nextKeys(host.state.nodes.keys(), "", query, limitOf(query)), query, (key) => nodeItem(host, key));
};

const limitOf = (query: ListRequest): number => query.limit ?? defaultLimit;

function page(
  host: ApiHost,
  keys: readonly string[],
  query: ListRequest,
  itemOf: (key: string) => TopItem | null,
): TopReply {
  const { epoch, sequence } = host.state;
  const items: TopItem[] = [];
  let bytes = envelopeBytes;
  let last = "";
  for (const key of keys) {
    const item = itemOf(key);
    if (item === null) continue;
    bytes += jsonBytes(item) + 1;
    if (items.length > 0 && (items.length >= limitOf(query) || bytes > limits.pageBytes)) {
      return { epoch, sequence, items, next: last };
    }
    items.push(item);
    last = key;
  }
  return { epoch, sequence, items };
}

function podItem({ state, usage }: ApiHost, key: string): TopItem | null {
  const pod = state.pods.get(key);
  if (pod === undefined) return null;
  const { namespace, name, node } = pod;
  const use = usage.pod(pod);
  return {
    namespace,
    name,
    workload: pod.workload.slice(namespace.length + 1),
    ...(node === null ? {} : { node }),
    ...(use === null ? {} : measured(use)),
    reserve: requestsOf(state, pod),
  };
}

function requestsOf(state: ApiHost["state"], pod: ReadPod): TopItem["reserve"] {
  const requests = state.workloads.get(pod.workload)?.templates.get(pod.template)?.requests;
  return { cpuMillis: requests?.cpuMillis ?? 0, memoryBytes: requests?.memoryBytes ?? 0 };
}

function nodeItem({ state, usage }: ApiHost, id: string): TopItem | null {
  const node = state.nodes.get(id);
  if (node === undefined) return null;
  const { cpuMillis, memoryBytes } = node.facts.capacity;
  const use = usage.node(id);
  return { name: id, ...(use === null ? {} : measured(use)), reserve: { cpuMillis, memoryBytes } };
}

const measured = ({
  cpuMillis,
  memoryBytes,
  ageMs,
}: {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ageMs: number;
}): Pick<TopItem, "use" | "ageMs"> => ({ use: { cpuMillis, memoryBytes }, ageMs });
