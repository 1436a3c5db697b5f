// The closed table of pod states: what may follow what. `unknown` is not in it: it is how a pod is shown while its node is unheard.
import type { PodStateName, ReadPod, ReadState } from "./model.ts";

type Stored = Exclude<PodStateName, "unknown">;

const next: Readonly<Record<Stored, readonly Stored[]>> = {
  pending: ["assigned", "stopping"],
  assigned: ["pulling", "starting", "running", "ready", "backoff", "failed", "stopped", "stopping", "lost"],
  pulling: ["starting", "running", "ready", "backoff", "failed", "stopped", "stopping", "lost"],
  starting: ["pulling", "running", "ready", "backoff", "failed", "stopped", "stopping", "lost"],
  running: ["ready", "starting", "pulling", "backoff", "failed", "stopped", "stopping", "lost"],
  ready: ["running", "starting", "pulling", "backoff", "failed", "stopped", "stopping", "lost"],
  backoff: ["pulling", "starting", "running", "ready", "failed", "stopped", "stopping", "lost"],
  // A failed pod is tried again slowly: the image may appear, the port may be freed.
  failed: ["pulling", "starting", "running", "ready", "backoff", "stopped", "stopping", "lost"],
  stopping: ["stopped", "failed", "lost"],
  stopped: ["stopping", "lost"],
  lost: ["stopped", "failed"],
};

/** True when a pod in `from` may go to `to`; staying is always allowed. */
export function mayFollow(from: PodStateName, to: PodStateName): boolean {
  if (from === to) return true;
  if (from === "unknown" || to === "unknown") return false;
  return next[from].includes(to);
}

/** True while the pod counts for its slot: it runs, will run, or has done its work. */
export function isLive(pod: ReadPod): boolean {
  return pod.desired === "run" && pod.state !== "lost";
}

/** True when the pod did its work or failed for good, and stays so: it is not made anew, whatever happens to its node. */
export function isOver(pod: ReadPod): boolean {
  return pod.ended && pod.desired === "run";
}

/** True when the pod should get new connections. A node unheard for a moment changes nothing: proxies check for themselves. */
export function isEndpoint(pod: ReadPod): boolean {
  return pod.desired === "run" && pod.state === "ready" && pod.held === null && pod.addresses.length > 0;
}

/** True while the pod's requests and fixed ports are taken on its node. */
export function holdsRoom(pod: ReadPod): boolean {
  return pod.node !== null && !pod.ended;
}

/** True while the pod's node is being drained. */
export function isDraining(state: ReadState, pod: ReadPod): boolean {
  return pod.node !== null && state.nodes.get(pod.node)?.mode === "draining";
}

/** The state people are shown. */
export function shownState(pod: ReadPod): PodStateName {
  return pod.unheard && pod.state !== "lost" && pod.state !== "stopped" && !isOver(pod) ? "unknown" : pod.state;
}
