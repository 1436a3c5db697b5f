// What an object waits for, as a sentence for `describe`: people ask why nothing happens before they ask what the state is.
// Pure. Empty when nothing is waited for.
import type { PodObject, ServiceObject, WorkloadObject } from "../schemas/generated/types.ts";
import { ageText } from "./output/units.ts";

const podWaits: Readonly<Partial<Record<PodObject["status"]["state"], string>>> = {
  pending: "a node that takes it",
  assigned: "its node to begin",
  pulling: "its image to be there",
  starting: "its containers to start",
  running: "its readiness checks to pass",
  backoff: "its next start; the delay grows with each failure and starts over after it ran well for a while",
  unknown: "a sign of its node; it is replaced when the node stays silent",
  failed: "another try, which comes slowly: the image may appear, the port may be freed",
  stopping: "its containers to stop, after proxies let go and connections drained",
};

/** Reasons of a pod whose program ran and ended. One that is `failed` for such a reason is not started again. */
const ends: ReadonlySet<string> = new Set(["EXITED", "OOM_KILLED", "EXIT_UNOBSERVED"]);

/** True of a pod that failed for good: its program ended, and its restart policy says that this is the end. */
export const isOver = ({ state, reason }: PodObject["status"]): boolean => state === "failed" && ends.has(reason);

/** True of a pod that ended by itself, well or not. */
export const isAtEnd = (status: PodObject["status"]): boolean =>
  isOver(status) || (status.state === "stopped" && status.reason === "COMPLETED");

/** True of a workload that can never be ready: a pod of it failed for good. */
export const hasEnded = ({ spec, status }: Pick<WorkloadObject, "spec" | "status">): boolean =>
  spec.restartPolicy === "Never" && status.phase === "progressing" && ends.has(status.reason);

/** What a pod waits for, and since when. */
export function podWaiting({ status }: PodObject, now: number): string {
  if (isOver(status)) return "nothing: its program ended, and restartPolicy: Never starts it no more";
  const what = podWaits[status.state];
  return what === undefined ? "" : `${what} (for ${ageText(now - status.since)})`;
}

const podsText = (count: number): string => `${count} ${count === 1 ? "pod" : "pods"}`;

/** What a workload waits for: how many of its pods, in which states. */
export function workloadWaiting({ status }: WorkloadObject, pods: readonly PodObject[]): string {
  const { phase, replicas, updated, pods: there } = status;
  if (phase === "steady") return "";
  if (phase === "halted")
    return "a new template, or the old one again: the change was halted and the old pods serve on";
  const counts = new Map<string, number>();
  for (const { status: one } of pods) {
    if (one.state !== "ready") counts.set(one.state, (counts.get(one.state) ?? 0) + 1);
  }
  const states = [...counts].map(([state, count]) => `${count} ${state}`);
  const parts = [
    states.length === 0 ? "" : `${states.join(", ")} to go on`,
    phase === "deleting" || updated >= replicas ? "" : `${podsText(replicas - updated)} of the new template`,
    phase === "deleting" || there >= replicas ? "" : `${podsText(replicas - there)} to be made`,
  ];
  return parts.filter((part) => part !== "").join("; ");
}

/** What a service without endpoints waits for. */
export function serviceWaiting({ spec, status }: ServiceObject, pods: readonly PodObject[]): string {
  if (status.endpoints > 0) return "";
  const workload = spec.selector?.workload;
  if (workload === undefined) return "a program to register itself";
  if (pods.length === 0) return `pods of workload ${workload}`;
  const ready = pods.filter(({ status: { state } }) => state === "ready").length;
  return `a ready pod of workload ${workload}: ${ready} of ${pods.length} are`;
}
