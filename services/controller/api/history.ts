// workload.history: the templates of a workload that are still known, oldest first.
import { listRequest } from "../../../schemas/generated/messages.js";
import type { ListReply, TemplateObject } from "../../../schemas/generated/types.ts";
import { keyOf } from "../../core/model.ts";
import { SwainError } from "../../kernel/errors.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const history: Handler = async (host, request) => {
  const { name = "", minSeq } = checked(listRequest, "list-request", request.body);
  await host.reached(minSeq ?? 0);
  const { state } = host;
  const namespace = namespaced(request);
  const workload = state.workloads.get(keyOf(namespace, name));
  if (workload === undefined)
    throw new SwainError("NOT_FOUND", `There is no workload ${name} in namespace ${namespace}.`);
  const pods = [...workload.pods].flatMap((key) => state.pods.get(key) ?? []);
  const items = workload.history.map(({ generation, time, spec }) => ({
    generation,
    time,
    current: generation === workload.template.generation,
    pods: pods.filter(({ template }) => template === generation).length,
    spec: spec as TemplateObject["spec"],
  })) satisfies TemplateObject[];
  const reply: ListReply = { epoch: state.epoch, sequence: state.sequence, items };
  return reply;
};
