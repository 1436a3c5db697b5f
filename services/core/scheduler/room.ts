// Free room of nodes, with what a plan in the making has already taken laid over the state.
import type { ReadNode, ReadState, Resources, Template, Key } from "../model.ts";
import { holdsRoom } from "../transitions.ts";

/** One node as the scheduler sees it. */
export interface Candidate {
  readonly node: ReadNode;
  /** Reserved so far, this plan's placements included. */
  readonly reserved: Resources;
  /** Pods that hold room, this plan's placements included. */
  pods: number;
  /** Fixed ports taken. Filled on first use. */
  hostPorts: Set<number> | null;
  /** Pods of each workload on the node. Filled on first use. */
  readonly perWorkload: Map<Key, number>;
}

/** The nodes of the state as candidates, in order of their ids. */
export function candidatesOf(state: ReadState): Candidate[] {
  return [...state.nodes.values()]
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((node) => {
      const candidate: Candidate = {
        node,
        reserved: { ...node.reserved },
        pods: 0,
        hostPorts: null,
        perWorkload: new Map(),
      };
      for (const key of node.pods) {
        const pod = state.pods.get(key);
        if (pod === undefined || !holdsRoom(pod)) continue;
        candidate.pods += 1;
        if (pod.desired !== "run") continue;
        candidate.perWorkload.set(pod.workload, (candidate.perWorkload.get(pod.workload) ?? 0) + 1);
      }
      return candidate;
    });
}

/** Fixed ports that pods of the node hold. */
export function hostPortsOf(state: ReadState, candidate: Candidate): Set<number> {
  if (candidate.hostPorts !== null) return candidate.hostPorts;
  const taken = new Set<number>();
  for (const key of candidate.node.pods) {
    const pod = state.pods.get(key);
    const workload = pod === undefined ? undefined : state.workloads.get(pod.workload);
    if (pod === undefined || !holdsRoom(pod)) continue;
    for (const port of workload?.templates.get(pod.template)?.hostPorts ?? []) taken.add(port);
  }
  candidate.hostPorts = taken;
  return taken;
}

/** Notes a placement, so that the next pod of the same plan sees it. */
export function take(state: ReadState, candidate: Candidate, workload: Key, template: Template): void {
  candidate.reserved.cpuMillis += template.requests.cpuMillis;
  candidate.reserved.memoryBytes += template.requests.memoryBytes;
  candidate.pods += 1;
  candidate.perWorkload.set(workload, (candidate.perWorkload.get(workload) ?? 0) + 1);
  if (template.hostPorts.length === 0) return;
  const taken = hostPortsOf(state, candidate);
  for (const port of template.hostPorts) taken.add(port);
}
