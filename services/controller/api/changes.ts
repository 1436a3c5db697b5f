// Verbs that change something: apply, scale, delete. Answered when the change is in the log, not when it is done.
import { applyRequest, deleteRequest, scaleRequest } from "../../../schemas/generated/messages.js";
import { admitApply } from "../../core/admit/apply.ts";
import { admitDelete, admitScale } from "../../core/admit/change.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const apply: Handler = async (host, { body }) => {
  const { operation, documents, dryRun } = checked(applyRequest, "apply-request", body);
  if (dryRun !== true) return host.change(operation, (state) => admitApply(state, documents));
  const { epoch, sequence } = host.state;
  return { epoch, sequence, results: admitApply(host.state, documents).results };
};

export const scale: Handler = (host, request) => {
  const { operation, name, replicas } = checked(scaleRequest, "scale-request", request.body);
  const namespace = namespaced(request);
  return host.change(operation, (state) => admitScale(state, namespace, name, replicas));
};

export const remove =
  (kind: "workload" | "service" | "autoscaler"): Handler =>
  (host, request) => {
    const { operation, name } = checked(deleteRequest, "delete-request", request.body);
    const namespace = namespaced(request);
    return host.change(operation, (state) => admitDelete(state, kind, namespace, name));
  };
