// Admission of scale and delete.
import { SwainError } from "../../kernel/errors.ts";
import { keyOf, type ReadState, type ReadWorkload } from "../model.ts";
import { removedItem } from "../plan/expire.ts";
import type { Admitted } from "./apply.ts";
import { admitAutoscalerDelete, scaleNote } from "./autoscaler.ts";

/** Throws NOT_FOUND. */
export function admitScale(state: ReadState, namespace: string, name: string, replicas: number): Admitted {
  const workload = workloadOf(state, namespace, name);
  if (workload.spec.replicas === replicas) {
    return { items: [], results: [{ kind: "Workload", namespace, name, action: "unchanged" }] };
  }
  return {
    items: [{ kind: "workload", verb: "scaled", namespace, name, replicas }],
    results: [{ kind: "Workload", namespace, name, action: "scaled", ...scaleNote(state, namespace, name, replicas) }],
  };
}

/** Throws NOT_FOUND. */
export function admitDelete(
  state: ReadState,
  kind: "workload" | "service" | "autoscaler",
  namespace: string,
  name: string,
): Admitted {
  if (kind === "autoscaler") return admitAutoscalerDelete(state, namespace, name);
  const key = keyOf(namespace, name);
  if (kind === "service") {
    const service = state.services.get(key);
    if (service === undefined) throw notFound(kind, namespace, name);
    const gone = [...service.external].flatMap((id) => {
      const record = state.external.get(id);
      return record === undefined ? [] : removedItem(state, record, "DELETED", `Service ${key} was deleted.`);
    });
    return {
      items: [...gone, { kind, verb: "deleted", namespace, name }],
      results: [{ kind: "Service", namespace, name, action: "deleted" }],
    };
  }
  const workload = state.workloads.get(key);
  if (workload === undefined) throw notFound(kind, namespace, name);
  return {
    items: workload.deleting ? [] : [{ kind, verb: "deleted", namespace, name }],
    results: [{ kind: "Workload", namespace, name, action: "deleted" }],
  };
}

/** One that stays. Throws NOT_FOUND. */
export function workloadOf(state: ReadState, namespace: string, name: string): ReadWorkload {
  const workload = state.workloads.get(keyOf(namespace, name));
  if (workload === undefined) throw notFound("workload", namespace, name);
  if (!workload.deleting) return workload;
  throw new SwainError("NOT_FOUND", `Workload ${name} in namespace ${namespace} is being deleted.`);
}

function notFound(kind: string, namespace: string, name: string): SwainError {
  return new SwainError("NOT_FOUND", `There is no ${kind} ${name} in namespace ${namespace}.`);
}
