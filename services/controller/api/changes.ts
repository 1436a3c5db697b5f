// Verbs that change something: apply, scale, undo, delete, and what operators decide about nodes. Answered when the change is
// in the log, not when it is done.
import {
  applyRequest,
  deleteRequest,
  nodeRequest,
  rolloutUndoRequest,
  scaleRequest,
} from "../../../schemas/generated/messages.js";
import { admitApply } from "../../core/admit/apply.ts";
import { admitDelete, admitScale } from "../../core/admit/change.ts";
import { admitMode, admitRemoval } from "../../core/admit/node.ts";
import { admitUndo } from "../../core/admit/undo.ts";
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
