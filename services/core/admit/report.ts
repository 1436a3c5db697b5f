// Admission of reports: what an agent saw of its pods, as far as it says something new and possible.
import type { EventItem, PodObserved, PodReport } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { keyOf, type ReadPod, type ReadState } from "../model.ts";
import { same } from "../same.ts";
import { mayBeSameTemplate } from "../template.ts";
import { mayFollow } from "../transitions.ts";

/**
 * Items for the reported pods. Left out: pods this node was not given (it removes them at its next sync), or not as they
 * were when the log lost its end, states the table does not allow, and what is known already.
 */
export function admitReport(state: ReadState, node: string, pods: readonly PodReport[]): EventItem[] {
  // The last word on a pod counts.
  const latest = new Map(pods.map((report) => [keyOf(report.namespace, report.name), report]));
  return [...latest].flatMap(([key, report]) => {
    const pod = state.pods.get(key);
    if (pod === undefined || pod.node !== node) return [];
    const { eventId } = state.workloads.get(pod.workload)?.templates.get(pod.template) ?? {};
    return mayBeSameTemplate(eventId, report.templateId) ? admitPod(pod, report) : [];
  });
}

function admitPod(pod: ReadPod, report: PodReport): EventItem[] {
  // While a pod is on its way out only its end is news; and one that ended for good, whose room and fixed ports others
  // may have by now, does not come back to life.
  const leaving = pod.state === "stopping" || pod.state === "lost";
  if ((leaving || pod.ended) && report.state !== "stopped") return [];
  // Stopped as it was told, by an order that the log lost: it is told anew to run.
  if (report.state === "stopped" && pod.desired === "run" && report.observed.reason !== "COMPLETED") return [];
  if (!mayFollow(pod.state, report.state)) return [];
  // An agent of another release may say more than ours does.
  const observed = { ...report.observed, message: report.observed.message.slice(0, limits.observedText) };
  if (pod.state === report.state && same(observedOf(pod), normal(observed))) return [];
  const { namespace, name } = pod;
  const items: EventItem[] = [{ kind: "pod", verb: report.state, namespace, name, observed }];
  if (report.state === "stopped" && pod.desired === "stop") {
    const { reason, message } = pod;
    items.push({ kind: "pod", verb: "removed", namespace, name, reason: reason || "STOPPED", message });
  }
  return items;
}

const normal = (observed: PodObserved): PodObserved => ({
  ...observed,
  addresses: observed.addresses ?? [],
  containers: observed.containers ?? [],
});

function observedOf(pod: ReadPod): unknown {
  return {
    reason: pod.reason,
    message: pod.message,
    restarts: pod.restarts,
    exitCode: pod.exitCode ?? undefined,
    addresses: pod.addresses,
    containers: pod.containers,
  };
}
