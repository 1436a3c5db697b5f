// How a pod is taken out: through the proxies when it may have connections, at once when it cannot.
import type { PodStopping } from "../../../schemas/generated/types.ts";
import type { Code } from "../../kernel/errors.ts";
import type { ReadPod, ReadState } from "../model.ts";

/** The item that begins a pod's end. */
export function stopItem(state: ReadState, pod: ReadPod, reason: Code, message: string): PodStopping {
  const mayServe =
    state.servicesOf.has(pod.workload) || (state.workloads.get(pod.workload)?.formerServices.size ?? 0) > 0;
  const served = pod.wasReady && pod.state !== "stopped" && mayServe;
  return { kind: "pod", verb: "stopping", namespace: pod.namespace, name: pod.name, drain: served, reason, message };
}
