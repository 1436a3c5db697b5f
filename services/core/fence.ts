// Fencing: how long a pod may go on without a leader, and how long a leader waits before it makes another in its place.
// The two belong together and are proved together in `decisions/0027-fencing.md`. Pure; used by the core and by agents.
import type { WorkloadSpec } from "../../schemas/generated/types.ts";
import type { Key, ReadPod, ReadState } from "./model.ts";
import { parseDurationMs } from "./quantity.ts";

export const fencing = {
  /** Lease requests go out each second and a change of leader takes up to 5 s: a shorter lease would end at each of them. */
  leastLeaseMs: 10_000,
  /**
   * An agent that starts and finds a fenced pod running does not know when a leader was last heard: the pod goes on for this
   * long, so that a restart of the agent stops nothing while there is a leader. An agent that ended a moment before the
   * lease did ends it this much later.
   */
  adoptMs: 5000,
  /** From the moment the agent's clock says that a pod must be killed until it is dead: timers, the engine, the kernel. */
  killMs: 3000,
  /** Two clocks that count durations differ by less than 1 % each. */
  drift: 1.02,
  /**
   * A server that lost the others of a log with several replicas goes on answering reads until it notices: it looks every
   * 10 s for a quorum heard in the last 10 s. A log with one replica is never read stale.
   */
  staleReadMs: 20_000,
} as const;

type Spec = Pick<WorkloadSpec, "fence" | "lostAfter" | "stopGracePeriod">;

/** How long an agent lets a pod run after it sent the last request that a leader granted; null for pods without a fence. */
export function leaseOf(spec: Spec): number | null {
  return spec.fence === true ? parseDurationMs(spec.lostAfter ?? "15s") : null;
}

/**
 * How long a node must be silent before a pod of that spec, stopped by its agent meanwhile, may be made anew elsewhere.
 * `replicated`: the log has several replicas, or nobody looked yet.
 */
export function fenceWaitMs(spec: Spec, replicated: boolean): number {
  const graceMs = parseDurationMs(spec.stopGracePeriod ?? "10s");
  const agentMs = (leaseOf(spec) ?? 0) + fencing.adoptMs + graceMs;
  return Math.ceil(agentMs * fencing.drift) + fencing.killMs + (replicated ? fencing.staleReadMs : 0);
}

/** The template the pod was made from, if it is fenced. A fence belongs to the template: it is what the node was told. */
export function fencedSpec(state: ReadState, pod: ReadPod): Spec | null {
  const spec = state.workloads.get(pod.workload)?.templates.get(pod.template)?.spec;
  return spec?.fence === true ? spec : null;
}

/** True while a copy of the pod may run that would have to be fenced: it is neither known to have ended nor waited out. */
export function mayRunFenced(state: ReadState, pod: ReadPod): boolean {
  const isOver = pod.node === null || pod.ended || pod.state === "stopped" || pod.state === "lost" || pod.held !== null;
  return !isOver && fencedSpec(state, pod) !== null;
}

/** True when pods of the workload wait for a node that is unheard instead of being made anew. */
export function waitsForNode(state: ReadState, workload: Key): boolean {
  const record = state.workloads.get(workload);
  return record?.spec.onNodeLost === "hold" && !record.deleting;
}

/** True for a pod that may run on, whatever is wanted, because its node is unheard and its workload waits for it. */
export function isStuck(state: ReadState, pod: ReadPod): boolean {
  return pod.unheard && !pod.ended && waitsForNode(state, pod.workload);
}
