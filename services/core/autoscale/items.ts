// What an autoscaler's decision becomes in the log: the change of the workload, and beside it who made it and why.
import type { AutoscaleEvaluation, EventItem } from "../../../schemas/generated/types.ts";
import type { ReadAutoscaler } from "../model.ts";

/** Items of one event; empty when nothing is to be done. */
export function scaleItems(autoscaler: ReadAutoscaler, evaluation: AutoscaleEvaluation): EventItem[] {
  const { namespace, name, spec } = autoscaler;
  const { replicas: from, desired: replicas, reason, message, metrics } = evaluation;
  if (from === undefined || replicas === undefined || replicas === from) return [];
  const { workload } = spec;
  return [
    { kind: "autoscaler", verb: "scaled", namespace, name, workload, from, replicas, reason, message, metrics },
    { kind: "workload", verb: "scaled", namespace, name: workload, replicas },
  ];
}
