// A cluster that nobody asks for anything, and in which nothing is wrong: it comes to rest, whatever it was asked for before, and
// what is not as it should be says why.
import type { EventItem } from "../../schemas/generated/types.ts";
import { type Key, keyOf, type ReadPod, type ReadWorkload, type State } from "../../services/core/model.ts";
import { isDraining, isLive, isOver } from "../../services/core/transitions.ts";
import { described, shownPod, slotsOf } from "./planned.ts";
import { faltering } from "./wishes.ts";

const moves: ReadonlySet<string> = new Set(["assigned", "pending", "stopping", "drained", "removed", "lost", "held"]);

/** Whether an item just folded is one that a cluster at rest does not write. What comes and goes by itself has others follow. */
export function isMove(state: State, item: EventItem): boolean {
  if (item.kind === "pod") {
    const name =
      "workload" in item
        ? keyOf(item.namespace, item.workload)
        : state.pods.get(keyOf(item.namespace, item.name))?.workload;
    return moves.has(item.verb) && !(name !== undefined && state.autoscalerOf.has(name) && comesAndGoes(state, name));
  }
  if (item.kind === "autoscaler")
    return !("workload" in item) || !comesAndGoes(state, keyOf(item.namespace, item.workload));
  if (item.kind === "workload") return !comesAndGoes(state, keyOf(item.namespace, item.name));
  return item.kind === "node" && item.verb !== "draining";
}

/** A slot that the halted change left only its own pods, which never were ready, although a template is known that was. */
function isLeftOver(workload: ReadWorkload, pods: readonly ReadPod[], inSlot: readonly ReadPod[]): boolean {
  const { template, templates } = workload;
  const isAlone = (generation: number): boolean => {
    const { spec, hostPorts } = templates.get(generation) ?? template;
    return spec.fence === true || hostPorts.length > 0;
  };
  const old = pods.filter((pod) => pod.wasReady && pod.template !== template.generation);
  const newest = Math.max(...old.map((pod) => pod.template));
  const isBroken = (pod: ReadPod): boolean => !pod.wasReady && !pod.ended && pod.template === template.generation;
  return old.length > 0 && !isAlone(newest) && inSlot.every(isBroken) && !inSlot.some((pod) => isAlone(pod.template));
}

/** Whether the workload's programs end or falter by themselves. */
function comesAndGoes(state: State, workload: Key): boolean {
  return [...(state.workloads.get(workload)?.templates.values() ?? [])].some(({ spec }) =>
    spec.containers.some(({ sim, env }) => sim?.exitAfter !== undefined || env?.some(({ name }) => name === faltering)),
  );
}

/** What is not as it was asked for in a cluster at rest, and does not say why. */
export function unexplained(state: State): string[] {
  const found: string[] = [];
  for (const node of state.nodes.values()) {
    if (node.state !== "ready" || node.reason !== "") found.push(`node ${node.id} is ${node.state} ${node.reason}`);
    if (node.mode !== "draining" || node.modeMessage !== "") continue;
    // A change that waits for pods that falter may take as long as they do.
    const pods = [...node.pods].flatMap((key) => state.pods.get(key) ?? []);
    if (pods.some(({ workload }) => comesAndGoes(state, workload))) continue;
    found.push(`node ${node.id} is drained and says nothing: ${pods.map(shownPod).join(", ")}`);
  }
  for (const workload of state.workloads.values()) {
    const say = (what: string): void => void found.push(`${what}: ${described(state, workload)}`);
    const pods = [...workload.pods].flatMap((key) => state.pods.get(key) ?? []);
    const slots = slotsOf(state, workload);
    if (workload.deleting) say("it stays, though it was deleted");
    else if (slots.size !== workload.spec.replicas) say(`${slots.size} slots`);
    if (pods.some((pod) => !isLive(pod))) say("one is left over");
    if (comesAndGoes(state, keyOf(workload.namespace, workload.name)) || workload.deleting) continue;
    if (pods.some(({ state: is, reason }) => is !== "ready" && reason === "")) say("one does not say why");
    const isMixed = pods.some(({ template }) => template !== workload.template.generation);
    const isServing = pods.every((pod) => pod.state === "ready" || isOver(pod));
    if (isMixed && workload.halted === null && isServing) say("its change stands still");
    if (workload.halted !== null && !isMixed && isServing) say("it is halted, and nothing is left to be changed");
    if (workload.halted !== null && [...slots.values()].some((inSlot) => isLeftOver(workload, pods, inSlot)))
      say("a slot has nothing that works");
    const isMoving = isMixed || pods.some((pod) => isDraining(state, pod));
    if (pods.filter(isLive).length > slots.size && !isMoving) say("a slot has two pods");
  }
  return found;
}
