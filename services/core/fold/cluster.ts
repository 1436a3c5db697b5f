// Items about the cluster and its nodes.
import type { ClusterRestored, NodeChanged, NodeManaged, NodeRegistered } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { NodeRecord, PodRecord } from "../model.ts";
import { refreshPod } from "../endpoints.ts";
import { isOver } from "../transitions.ts";
import { changePod, type FoldContext, touchNode, touchPod } from "./context.ts";
import { removePod } from "./pod.ts";

/** Names given after the backup are not known: numbers go on far beyond any of them. */
const podNumbersSkipped = 100_000;

export function clusterRestored({ state }: FoldContext, { name, parent }: ClusterRestored): void {
  // A copy has a uid of its own: what runs under the first one's is not its.
  state.clusterUid = name;
  state.parents.push(parent);
  state.parents.splice(0, state.parents.length - limits.parents);
  state.podCounter += podNumbersSkipped;
}

export function nodeRegistered(context: FoldContext, item: NodeRegistered): void {
  const { state, sequence, time, touched } = context;
  const known = state.nodes.get(item.name);
  if (known === undefined) {
    const node: NodeRecord = {
      id: item.name,
      facts: item.facts,
      state: "ready",
      since: time,
      reason: "",
      message: "",
      mode: "active",
      modeReason: "",
      modeMessage: "",
      // An agent that still holds an earlier assignment, of before its node was removed, is told that it is over.
      assignment: sequence,
      reserved: { cpuMillis: 0, memoryBytes: 0 },
      holding: 0,
      pods: new Set(),
      seq: sequence,
    };
    state.nodes.set(item.name, node);
    touchNode(context, node);
    return;
  }
  known.facts = item.facts;
  touchNode(context, known);
  // An endpoint names its node's host.
  for (const key of known.pods) {
    const pod = state.pods.get(key);
    if (pod !== undefined) refreshPod(state, key, pod.workload, sequence, touched, true);
  }
}

export function nodeChanged(context: FoldContext, item: NodeChanged): void {
  const node = context.state.nodes.get(item.name);
  if (node === undefined) return;
  // When a hold for mass loss ends, others came back: those that did not are waited for anew, from now on.
  const holdEnds = node.reason === "MASS_LOSS_HELD" && item.reason !== node.reason;
  if (node.state !== item.verb || holdEnds) node.since = context.time;
  node.state = item.verb;
  node.reason = item.reason ?? "";
  node.message = item.message ?? "";
  touchNode(context, node);
  const unheard = item.verb === "unknown";
  for (const key of node.pods) {
    const pod = context.state.pods.get(key);
    if (pod === undefined || pod.unheard === unheard) continue;
    pod.unheard = unheard;
    // What waited for the node has it back.
    if (!unheard) pod.held = null;
    touchPod(context, pod);
    refreshPod(context.state, key, pod.workload, context.sequence, context.touched, false);
  }
}

export function nodeManaged(context: FoldContext, item: NodeManaged): void {
  const { state } = context;
  const node = state.nodes.get(item.name);
  if (node === undefined) return;
  touchNode(context, node);
  if (item.verb !== "removed") {
    node.mode = item.verb === "uncordoned" ? "active" : item.verb;
    node.modeReason = item.reason;
    node.modeMessage = item.message;
    // Its pods are looked at anew.
    for (const key of node.pods) {
      const pod = state.pods.get(key);
      if (pod !== undefined) context.touched.workloads.add(pod.workload);
    }
    return;
  }
  for (const key of node.pods) {
    const pod = state.pods.get(key);
    if (pod === undefined) continue;
    // What did its work is not done again because a machine goes.
    if (isOver(pod)) changePod(context, pod, () => leaveNode(pod));
    else removePod(context, pod);
  }
  state.nodes.delete(node.id);
}

function leaveNode(pod: PodRecord): void {
  pod.node = null;
  pod.unheard = false;
  pod.held = null;
  pod.addresses = [];
}
