// Admission of what concerns a node: what its agent says about it, and what operators decide about it.
import type { ChangeResult, EventItem, NodeFacts } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { SwainError } from "../../kernel/errors.ts";
import { mayRunFenced } from "../fence.ts";
import type { ReadNode, ReadState } from "../model.ts";
import { same } from "../same.ts";
import { isOver } from "../transitions.ts";
import type { Admitted } from "./apply.ts";

/** Registers a node, or notes that its facts changed; empty when the state has them already. */
export function admitFacts(state: ReadState, node: string, facts: NodeFacts): EventItem[] {
  const known = state.nodes.get(node);
  if (known !== undefined && same(known.facts, facts)) return [];
  return [{ kind: "node", verb: "registered", name: node, facts }];
}

/** Cordon, uncordon or drain. Throws NOT_FOUND. */
export function admitMode(state: ReadState, id: string, verb: "cordoned" | "uncordoned" | "draining"): Admitted {
  const node = nodeOf(state, id);
  const wanted = verb === "uncordoned" ? "active" : verb;
  const unchanged = node.mode === wanted;
  return {
    items: unchanged ? [] : [{ kind: "node", verb, name: id, reason: "", message: "" }],
    results: [resultOf(id, unchanged ? "unchanged" : verb)],
  };
}

/**
 * Removes a node that is unheard and has no pod that its agent may not have fenced yet, or is cordoned and empty; with `force` any. Its pods are forgotten with it, and workloads
 * that miss them get new ones; those that ended for good stay, on no node. Throws NOT_FOUND or NODE_IN_USE.
 */
export function admitRemoval(state: ReadState, id: string, force: boolean): Admitted {
  const node = nodeOf(state, id);
  if (!force) refuseInUse(state, node);
  const forgotten = [...node.pods].flatMap((key) => state.pods.get(key) ?? []).filter((pod) => !isOver(pod));
  if (forgotten.length >= limits.eventItems) {
    const message = `Node ${id} has ${forgotten.length} pods; at most ${limits.eventItems - 1} are forgotten at once.`;
    throw new SwainError("NODE_IN_USE", message);
  }
  const message = `Node ${id} was removed.`;
  const pods = forgotten.map(({ namespace, name }): EventItem => ({
    kind: "pod",
    verb: "removed",
    namespace,
    name,
    reason: "NODE_REMOVED",
    message,
  }));
  return {
    items: [...pods, { kind: "node", verb: "removed", name: id, reason: "", message: "" }],
    results: [resultOf(id, "removed")],
  };
}

function refuseInUse(state: ReadState, node: ReadNode): void {
  if (node.state === "unknown") return refuseFenced(state, node);
  const running = [...node.pods].filter((key) => state.pods.get(key)?.ended === false).length;
  if (node.mode === "cordoned" && running === 0) return;
  const why = running > 0 ? `runs ${running} ${running === 1 ? "pod" : "pods"}` : "takes new pods";
  throw new SwainError("NODE_IN_USE", `Node ${node.id} is heard and ${why}.`);
}

/** Its pods would be made anew at once, and the agent may still count on its lease. */
function refuseFenced(state: ReadState, node: ReadNode): void {
  const pods = [...node.pods].flatMap((key) => state.pods.get(key) ?? []);
  const pod = pods.find((each) => mayRunFenced(state, each));
  if (pod === undefined) return;
  const message = `Pod ${pod.name} of node ${node.id} is fenced and may still run: its agent stops it within lostAfter + stopGracePeriod and some seconds of its last word.`;
  throw new SwainError("NODE_IN_USE", message);
}

function nodeOf(state: ReadState, id: string): ReadNode {
  const node = state.nodes.get(id);
  if (node === undefined) throw new SwainError("NOT_FOUND", `There is no node ${id}.`);
  return node;
}

const resultOf = (name: string, action: ChangeResult["action"]): ChangeResult => ({
  kind: "Node",
  namespace: "",
  name,
  action,
});
