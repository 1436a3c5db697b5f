// What a wait waits for, and whether an object is there yet. Pure: `wait.ts` reads the objects and shows how far they are.
import type { NodeObject, PodObject, ProxyObject, ServiceObject, WorkloadObject } from "../schemas/generated/types.ts";
import { nearest } from "../services/core/nearest.ts";
import { isCode, SwainError } from "../services/kernel/errors.ts";
import type { ApiObject } from "./client.ts";
import type { Resource } from "./kinds.ts";
import { because } from "./output/rows.ts";
import { blockedText, serviceReach } from "./service-reach.ts";
import { hasEnded, isAtEnd, isOver } from "./waiting.ts";

/**
 * `settled`: as a change that was accepted is waited for · `gone`: not there any more · `ready`: does its work ·
 * a state: shown by `get` · a count: so many ready pods or endpoints, or more.
 */
export type Until = "settled" | "gone" | "ready" | { readonly state: string } | { readonly count: number };

/** An object and the state it should come to. */
export interface Goal {
  readonly kind: Exclude<Resource, "event">;
  readonly namespace: string;
  readonly name: string;
  readonly until: Until;
}

export interface Look {
  readonly done: boolean;
  /** How far it is, in a few words. */
  readonly progress: string;
}

/** `workload default/web`; nodes have no namespace. */
export const goalLabel = ({ kind, namespace, name }: Goal): string =>
  kind === "node" ? `node ${name}` : `${kind} ${namespace}/${name}`;

const states: Readonly<Partial<Record<Resource, readonly string[]>>> = {
  pod: "pending assigned pulling starting running ready backoff unknown stopping stopped failed lost".split(" "),
  workload: ["steady", "progressing", "halted", "deleting"],
  node: ["ready", "unknown"],
};

/** What --for says of objects of that kind. Throws INVALID_ARGUMENT. */
export function parseUntil(text: string, kind: Goal["kind"]): Until {
  const [word = "", value] = text.split("=", 2);
  const bad = (message: string): SwainError => new SwainError("INVALID_ARGUMENT", message);
  if (value === undefined) {
    if (word === "ready") return "ready";
    if (word === "steady") return "settled";
    if (word === "deleted") return "gone";
    const meant = nearest(word, ["ready", "steady", "deleted", "state=", "count="]);
    const help = meant === undefined ? "ready, steady, deleted, state=STATE or count=N" : `did you mean ${meant}?`;
    throw bad(`"${text}" is nothing to wait for; ${help}`);
  }
  if (word === "count") {
    if (kind !== "workload" && kind !== "service")
      throw bad(`--for count=N is for workloads and services, no ${kind}s`);
    if (!/^\d{1,5}$/.test(value)) throw bad(`--for count=N needs a whole number, not "${value}"`);
    return { count: Number(value) };
  }
  if (word !== "state" && word !== "phase") throw bad(`"${text}" is nothing to wait for; state=STATE or count=N`);
  const known = states[kind];
  if (known === undefined) throw bad(`a ${kind} has no state to wait for; there are ready, deleted and count=N`);
  if (known.includes(value)) return { state: value };
  const meant = nearest(value, known);
  throw bad(
    `"${value}" is no state of a ${kind}; ${meant === undefined ? `one of ${known.join(", ")}` : `did you mean ${meant}?`}`,
  );
}

/** How far the object is; null: it is not there. Throws the reason for which it will never get there. */
export function lookAt(goal: Goal, object: ApiObject | null): Look {
  const { kind, until } = goal;
  if (until === "gone") {
    if (object === null) return { done: true, progress: "gone" };
    if (kind !== "workload") return { done: false, progress: "still there" };
    // Its object counts no pods that stop.
    const { phase } = (object as unknown as WorkloadObject).status;
    return { done: false, progress: phase === "deleting" ? "its pods are stopping" : "not being deleted" };
  }
  if (object === null) throw new SwainError("NOT_FOUND", `${goalLabel(goal)} was deleted while it was waited for`);
  switch (kind) {
    case "workload":
      return workloadLook(goal, object as unknown as WorkloadObject);
    case "pod":
      return podLook(goal, object as unknown as PodObject);
    case "node": {
      const { state, reason, message } = (object as unknown as NodeObject).status;
      const wanted = typeof until === "object" && "state" in until ? until.state : "ready";
      return { done: state === wanted, progress: withWhy(state, reason, message) };
    }
    case "service":
      return serviceLook(goal, object as unknown as ServiceObject);
    default:
      return { done: true, progress: "in place" };
  }
}

/** Whether the proxies have a say in that goal: a count is of endpoints alone. */
export const asksProxies = ({ kind, until }: Goal): boolean =>
  kind === "service" && (until === "settled" || until === "ready");

/** The same with what the proxies say: a service is not in place while one should listen for it and none does. */
export function lookThroughProxies(look: Look, service: ApiObject, proxies: readonly ProxyObject[]): Look {
  const reach = serviceReach(service as unknown as ServiceObject, proxies);
  const against = blockedText(reach) || reach.untold;
  return against === "" ? look : { done: false, progress: `${look.progress}, but ${against}` };
}

/** True where only the pods can tell whether enough of them will be ready: they may end by themselves, and nothing is left to do, or one failed for good. */
export function asksPods({ kind, until }: Goal, object: ApiObject): boolean {
  if (kind !== "workload" || (until !== "ready" && !(typeof until === "object" && "count" in until))) return false;
  const { spec, status } = object as unknown as WorkloadObject;
  if (until !== "ready" && hasEnded({ spec, status })) return true;
  return status.phase === "steady" && (spec.restartPolicy ?? "Always") !== "Always";
}

/** Throws where as many pods of the workload ended that the rest of them are too few for the goal. */
export function lookThroughPods(goal: Goal, object: ApiObject, pods: readonly PodObject[]): void {
  const { status } = object as unknown as WorkloadObject;
  const ended = pods.filter((pod) => pod.spec.workload === goal.name && isAtEnd(pod.status));
  const [one] = ended;
  const wanted = typeof goal.until === "object" && "count" in goal.until ? goal.until.count : status.replicas;
  if (one === undefined || wanted > status.replicas || status.replicas - ended.length >= wanted) return;
  const { reason, message } = one.status;
  const words = `${goalLabel(goal)} will not be ready: ${ended.length} of ${status.replicas} pods ended by themselves`;
  throw reasonError(reason, "DELETED", `${words} (${one.metadata.name}: ${message || reason})`);
}

const withWhy = (words: string, reason: string, message: string): string =>
  reason === "" ? words : `${words} (${because(reason, message)})`;

/** The reason as an error, when it is a code of the catalogue; else as `otherwise`. */
const reasonError = (reason: string, otherwise: "PROGRESS_DEADLINE" | "DELETED", message: string): SwainError =>
  new SwainError(isCode(reason) ? reason : otherwise, message);

function serviceLook({ until }: Goal, { status }: ServiceObject): Look {
  const progress = `${status.endpoints} ${status.endpoints === 1 ? "endpoint" : "endpoints"}`;
  if (until === "settled") return { done: true, progress: "in place" };
  const wanted = typeof until === "object" && "count" in until ? until.count : 1;
  return { done: status.endpoints >= wanted, progress };
}

function podLook(goal: Goal, { status }: PodObject): Look {
  const { state, reason, message } = status;
  const wanted = typeof goal.until === "object" && "state" in goal.until ? goal.until.state : "ready";
  const progress = withWhy(state, state === wanted ? "" : reason, message);
  if (state === wanted) return { done: true, progress };
  if (isOver(status)) throw reasonError(reason, "DELETED", `${goalLabel(goal)} failed: ${message || reason}`);
  // Such a pod does not come back; another takes its place, under another name or as another pod.
  if (state === "stopped" || state === "lost") {
    throw reasonError(reason, "DELETED", `${goalLabel(goal)} is ${withWhy(state, reason, message)}`);
  }
  return { done: false, progress };
}

function workloadLook(goal: Goal, { spec, status }: WorkloadObject): Look {
  const { replicas, ready, updated, phase, reason, message } = status;
  const { until } = goal;
  if (typeof until === "object" && "state" in until) {
    return { done: phase === until.state, progress: withWhy(phase, phase === until.state ? "" : reason, message) };
  }
  const done = reached(until, { spec, status });
  if (!done && phase === "halted") {
    throw reasonError(reason, "PROGRESS_DEADLINE", `${goalLabel(goal)} halted: ${message || reason}`);
  }
  // Of a count the pods that did not fail may be enough.
  const isCount = typeof until === "object" && "count" in until;
  if (!done && !isCount && hasEnded({ spec, status })) {
    throw reasonError(reason, "PROGRESS_DEADLINE", `${goalLabel(goal)} will not be ready: ${message || reason}`);
  }
  if (!done && phase === "deleting") throw new SwainError("DELETED", `${goalLabel(goal)} is being deleted`);
  const counts = `${ready}/${replicas} ready${updated === replicas ? "" : `, ${updated} of the new template`}`;
  return { done, progress: done ? counts : withWhy(`${counts}, ${phase}`, reason, message) };
}

function reached(until: Until, { spec, status }: Pick<WorkloadObject, "spec" | "status">): boolean {
  const { replicas, ready, updated, phase } = status;
  if (until === "ready") return ready >= replicas;
  if (typeof until === "object" && "count" in until) return ready >= until.count;
  // Pods that may end by themselves are not ready for ever; the leader calls the workload steady when they have.
  const endless = (spec.restartPolicy ?? "Always") === "Always";
  return phase === "steady" && updated === replicas && (!endless || ready === replicas);
}
