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
  /** Pods of each workload on the node, of those that `countPods` was asked for. */
  readonly perWorkload: Map<Key, number>;
}

/** The nodes of the state as candidates, in order of their ids. */
export function candidatesOf(state: ReadState): Candidate[] {
  return [...state.nodes.values()]
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((node) => ({
      node,
      reserved: { ...node.reserved },
      pods: node.holding,
      hostPorts: null,
      perWorkload: new Map(),
    }));
}

/** Fills in where the workload's pods run. Once, before the first of its pods is placed. */
export function countPods(state: ReadState, candidates: ReadonlyMap<string, Candidate>, workload: Key): void {
  for (const key of state.workloads.get(workload)?.pods ?? []) {
    const pod = state.pods.get(key);
    if (pod === undefined || pod.node === null || pod.desired !== "run" || !holdsRoom(pod)) continue;
    const counts = candidates.get(pod.node)?.perWorkload;
    counts?.set(workload, (counts.get(workload) ?? 0) + 1);
  }
}

const hasPorts = ({ facts }: ReadNode): boolean => facts.runtime !== "sim";

/** Nodes that share an address share its ports; simulated ones have none to share. */
const sharesPorts = (a: ReadNode, b: ReadNode): boolean =>
  a.id === b.id ||
  (hasPorts(a) && hasPorts(b) && a.facts.host === b.facts.host && a.facts.advertise === b.facts.advertise);

/** Fixed ports that pods of the node, or of another node on the same machine, hold. */
export function hostPortsOf(state: ReadState, candidates: readonly Candidate[], candidate: Candidate): Set<number> {
  if (candidate.hostPorts !== null) return candidate.hostPorts;
  const sharing = candidates.filter(({ node }) => sharesPorts(node, candidate.node));
  const taken = new Set<number>();
  for (const { node } of sharing) addHostPorts(state, node, taken);
  // One set for all of them: what one takes, the others see.
  for (const other of sharing) other.hostPorts = taken;
  return taken;
}

function addHostPorts(state: ReadState, node: ReadNode, taken: Set<number>): void {
  for (const key of node.pods) {
    const pod = state.pods.get(key);
    const workload = pod === undefined ? undefined : state.workloads.get(pod.workload);
    if (pod === undefined || !holdsRoom(pod)) continue;
    for (const port of workload?.templates.get(pod.template)?.hostPorts ?? []) taken.add(port);
  }
}

/** Notes a placement, so that the next pod of the same plan sees it. */
export function take(
  state: ReadState,
  candidates: readonly Candidate[],
  candidate: Candidate,
  workload: Key,
  template: Template,
): void {
  candidate.reserved.cpuMillis += template.requests.cpuMillis;
  candidate.reserved.memoryBytes += template.requests.memoryBytes;
  candidate.pods += 1;
  candidate.perWorkload.set(workload, (candidate.perWorkload.get(workload) ?? 0) + 1);
  if (template.hostPorts.length === 0) return;
  const taken = hostPortsOf(state, candidates, candidate);
  for (const port of template.hostPorts) taken.add(port);
}
