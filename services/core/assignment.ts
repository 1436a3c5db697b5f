// Assignments: what a node is told to run, out of the state. Called by the controller's assigner.
import type { AssignedPod, WorkloadSpec } from "../../schemas/generated/types.ts";
import { leaseOf } from "./fence.ts";
import type { Key, ReadState } from "./model.ts";
import { parseDurationMs } from "./quantity.ts";

/** What its node is told about a pod; null when the pod is gone or has no node. A draining pod still runs. */
export function assignedPod(state: ReadState, key: Key): AssignedPod | null {
  const pod = state.pods.get(key);
  const workload = pod === undefined ? undefined : state.workloads.get(pod.workload);
  const template = pod === undefined ? undefined : workload?.templates.get(pod.template);
  if (pod === undefined || pod.node === null || template === undefined) return null;
  const { network, hosts, dns } = template.spec as WorkloadSpec;
  const leaseMs = leaseOf(template.spec);
  return {
    namespace: pod.namespace,
    name: pod.name,
    workload: workload?.name ?? "",
    slot: pod.slot,
    ...(template.eventId === "" ? {} : { templateId: template.eventId }),
    generation: pod.assignment,
    desired: pod.desired === "stop" ? "stop" : "run",
    ...(pod.ended ? { ended: true } : {}),
    restartPolicy: template.spec.restartPolicy ?? "Always",
    stopGraceMs: parseDurationMs(template.spec.stopGracePeriod ?? "10s"),
    ...(leaseMs === null ? {} : { fence: { leaseMs } }),
    labels: { ...workload?.labels },
    ...(network === undefined ? {} : { network }),
    ...(hosts === undefined ? {} : { hosts }),
    ...(dns === undefined ? {} : { dns }),
    containers: template.spec.containers as AssignedPod["containers"],
  };
}

/** Everything one node is told, by namespace/name. */
export function nodeAssignment(state: ReadState, node: string): AssignedPod[] {
  const pods = [...(state.nodes.get(node)?.pods ?? [])].toSorted();
  return pods.flatMap((key) => assignedPod(state, key) ?? []);
}
