// workload.history: the templates of a workload that are still known, oldest first, in pages: each may be as large as an apply.
import { listRequest } from "../../../schemas/generated/messages.js";
import type { ListReply, TemplateObject } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { keyOf } from "../../core/model.ts";
import { SwainError } from "../../kernel/errors.ts";
import { jsonBytes } from "../record.ts";
import { envelopeBytes } from "./objects.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const history: Handler = async (host, request) => {
  const { name = "", minSeq, after, limit = limits.templates } = checked(listRequest, "list-request", request.body);
  await host.reached(minSeq ?? 0);
  const { state } = host;
  const namespace = namespaced(request);
  const workload = state.workloads.get(keyOf(namespace, name));
  if (workload === undefined)
    throw new SwainError("NOT_FOUND", `There is no workload ${name} in namespace ${namespace}.`);
  const pods = [...workload.pods].flatMap((key) => state.pods.get(key) ?? []);
  const { epoch, sequence } = state;
  const items: TemplateObject[] = [];
  let bytes = envelopeBytes;
  // The oldest are forgotten first: where the last one of the page before is not known any more, all others come after it.
  const told = workload.history.findIndex(({ generation }) => String(generation) === after) + 1;
  for (const { generation, time, spec } of workload.history.slice(told)) {
    const item: TemplateObject = {
      generation,
      time,
      current: generation === workload.template.generation,
      pods: pods.filter(({ template }) => template === generation).length,
      spec: spec as TemplateObject["spec"],
    };
    bytes += jsonBytes(item) + 1;
    const last = items.at(-1);
    if (last !== undefined && (items.length >= limit || bytes > limits.pageBytes)) {
      return { epoch, sequence, items, next: String(last.generation) } satisfies ListReply;
    }
    items.push(item);
  }
  return { epoch, sequence, items } satisfies ListReply;
};
