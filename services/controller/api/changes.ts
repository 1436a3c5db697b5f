// Verbs that change something: apply, scale, undo, delete, and what operators decide about nodes. Answered when the change is
// in the log, not when it is done.
import {
  applyRequest,
  deleteRequest,
  nodeRequest,
  rolloutUndoRequest,
  scaleRequest,
} from "../../../schemas/generated/messages.js";
import type { Accepted, ChangeResult, WorkloadManifest } from "../../../schemas/generated/types.ts";
import { admitApply } from "../../core/admit/apply.ts";
import { admitDelete, admitScale } from "../../core/admit/change.ts";
import { admitMode, admitRemoval } from "../../core/admit/node.ts";
import { admitUndo } from "../../core/admit/undo.ts";
import { defaultNamespace } from "../../core/defaults.ts";
import { toFitOneEvent } from "../term/batch.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const apply: Handler = async (host, { body }) => {
  const { operation, documents, dryRun } = checked(applyRequest, "apply-request", body);
  if (dryRun !== true) {
    return naming(await host.change(operation, (state) => admitApply(state, documents)), documents);
  }
  const { items, results } = admitApply(host.state, documents);
  toFitOneEvent(items);
  const { epoch, sequence } = host.state;
  return { epoch, sequence, results };
};

type Document = Pick<WorkloadManifest, "metadata"> & Pick<ChangeResult, "kind">;

/** An answer made from the log, after a change of leaders, names only what was changed; all else of the request is as it was. */
function naming(accepted: Accepted, documents: readonly unknown[]): Accepted {
  const { results } = accepted;
  const others = (documents as readonly Partial<Document>[]).flatMap(({ kind, metadata }): ChangeResult[] => {
    // Nobody has looked at those of a request that was known by its operation.
    if (kind === undefined || typeof metadata?.name !== "string") return [];
    const { name, namespace = defaultNamespace } = metadata;
    const isNamed = results.some((one) => one.kind === kind && one.namespace === namespace && one.name === name);
    return isNamed ? [] : [{ kind, namespace, name, action: "unchanged" }];
  });
  return others.length === 0 ? accepted : { ...accepted, results: [...results, ...others] };
}

export const scale: Handler = (host, request) => {
  const { operation, name, replicas } = checked(scaleRequest, "scale-request", request.body);
  const namespace = namespaced(request);
  return host.change(operation, (state) => admitScale(state, namespace, name, replicas));
};

export const undo: Handler = (host, request) => {
  const { operation, name, to } = checked(rolloutUndoRequest, "rollout-undo-request", request.body);
  const namespace = namespaced(request);
  return host.change(operation, (state) => admitUndo(state, namespace, name, to));
};

export const setMode =
  (mode: "cordoned" | "uncordoned" | "draining"): Handler =>
  (host, request) => {
    const { operation, name } = checked(nodeRequest, "node-request", request.body);
    return host.change(operation, (state) => admitMode(state, name, mode));
  };

export const removeNode: Handler = (host, request) => {
  const { operation, name, force } = checked(nodeRequest, "node-request", request.body);
  return host.change(operation, (state) => admitRemoval(state, name, force === true));
};

export const remove =
  (kind: "workload" | "service" | "autoscaler"): Handler =>
  (host, request) => {
    const { operation, name } = checked(deleteRequest, "delete-request", request.body);
    const namespace = namespaced(request);
    return host.change(operation, (state) => admitDelete(state, kind, namespace, name));
  };
