// The planner: (state, view) → the next event worth writing. Pure, and without meaningful choices left for whoever executes it.
// Called by the leader until it returns no items. Each plan is one event that alone leaves the state valid.
import type { EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { type Key, keyOf, type ReadState, type ReadWorkload } from "../model.ts";
import type { Plan, View } from "../view.ts";
import { drain } from "./drain.ts";
import { evacuate } from "./evacuate.ts";
import { expire } from "./expire.ts";
import { liveness } from "./liveness.ts";
import { draining } from "./nodes.ts";
import { inTheWay, missing, Placer, slotsOf, surplus } from "./reconcile.ts";
import type { NewPod, Refusal, Slots } from "./reconcile.ts";
import { rollout } from "./rollout.ts";
import { isOfSilence } from "./silence.ts";
import { stopItem } from "./stop.ts";

/** Items of one plan: half of what an event may hold, so that a plan never has to be cut. */
const planItems = limits.eventItems / 2;

/** What follows from silence is looked at again after this, where it may not be decided yet. */
const silenceAgainMs = 1000;

/**
 * What to write next. `attention` names the workloads that changed since the last plan without items; nodes, drains and
 * pods without a node are always looked at. Where the view is deaf nothing is decided from silence, and all else goes on.
 */
export function plan(state: ReadState, view: View, attention: ReadonlySet<Key> | "all"): Plan {
  let wakeForSilence: number | null = null;
  const decided = (items: readonly EventItem[]): readonly EventItem[] => {
    const left = view.isDeaf ? items.filter((item) => !isOfSilence(item)) : items;
    if (left.length < items.length) wakeForSilence = silenceAgainMs;
    return left.slice(0, planItems);
  };
  const alive = liveness(state, view);
  const heard = decided(alive.items);
  if (heard.length > 0) return { cause: "liveness", items: heard, wakeInMs: 0 };
  const drained = drain(state, view);
  const letGo = decided(drained.items);
  if (letGo.length > 0) return { cause: "drain", items: letGo, wakeInMs: 0 };
  const expired = expire(state, view);
  const over = decided(expired.items);
  if (over.length > 0) return { cause: "liveness", items: over, wakeInMs: 0 };
  const keys = attention === "all" ? [...state.workloads.keys()] : [...attention];
  const ended = keys.flatMap((key) => collect(state, key)).slice(0, planItems);
  if (ended.length > 0) return { cause: "reconcile", items: ended, wakeInMs: 0 };
  const { items, wakeInMs, looked } = converge(state, view, withWaiting(state, keys));
  if (items.length > 0) return { cause: "reconcile", items, wakeInMs: 0 };
  const told = draining(state, looked, view);
  if (told.length > 0) return { cause: "drain", items: told.slice(0, planItems), wakeInMs: 0 };
  return {
    cause: "reconcile",
    items: [],
    wakeInMs: earliest([alive.wakeInMs, drained.wakeInMs, expired.wakeInMs, wakeInMs, wakeForSilence]),
  };
}

/** Pods that ended on purpose, and workloads whose last pod is gone. */
function collect(state: ReadState, key: Key): EventItem[] {
  const workload = state.workloads.get(key);
  if (workload === undefined) return [];
  const items: EventItem[] = [];
  let left = 0;
  for (const podKey of workload.pods) {
    const pod = state.pods.get(podKey);
    if (pod === undefined) continue;
    const gone = pod.desired !== "run" && (pod.state === "stopped" || pod.node === null);
    // A deleted workload does not wait for a dead node: the node stops what it does not find in its assignment.
    const givenUp = workload.deleting && pod.state === "lost";
    if (!gone && !givenUp) {
      left += 1;
      continue;
    }
    const message = givenUp ? "A copy may still run on its node and is stopped when the node returns." : pod.message;
    items.push({
      kind: "pod",
      verb: "removed",
      namespace: pod.namespace,
      name: pod.name,
      reason: givenUp ? "DELETED" : pod.reason || "STOPPED",
      message,
    });
  }
  if (workload.deleting && left === 0 && items.length < planItems) {
    items.push({ kind: "workload", verb: "removed", namespace: workload.namespace, name: workload.name });
  }
  return items;
}

/** The workloads that wait for room anywhere: those with pods that have no node, and with pods that should leave theirs. */
function withWaiting(state: ReadState, keys: readonly Key[]): Set<Key> {
  const all = new Set(keys);
  for (const node of state.nodes.values()) {
    if (node.mode !== "draining") continue;
    for (const pod of node.pods) {
      const workload = state.pods.get(pod)?.workload;
      if (workload !== undefined) all.add(workload);
    }
  }
  for (const pod of state.pending) {
    const workload = state.pods.get(pod)?.workload;
    if (workload !== undefined) all.add(workload);
  }
  return all;
}

function converge(
  state: ReadState,
  view: View,
  keys: ReadonlySet<Key>,
): { items: EventItem[]; wakeInMs: number | null; looked: Map<Key, Refusal | null> } {
  const placer = new Placer(state, planItems);
  const looked = new Map<Key, Refusal | null>();
  const stops: EventItem[] = [];
  const wakes: (number | null)[] = [];
  for (const key of keys) {
    const workload = state.workloads.get(key);
    if (workload === undefined) continue;
    if (placer.full || stops.length >= planItems) return { items: cut(stops, placer), wakeInMs: 0, looked };
    if (workload.deleting) stops.push(...stopAll(state, workload));
    else wakes.push(one(state, view, workload, { placer, stops, looked }));
  }
  return { items: cut(stops, placer), wakeInMs: earliest(wakes), looked };
}

/**
 * Stops first: they free what new pods may need, and a cut plan goes on in the next one. What waited for a node and is stopped now
 * gets none.
 */
function cut(stops: readonly EventItem[], placer: Placer): EventItem[] {
  const stopped = new Set(stops.map(podOf));
  const placed = placer.items.filter((item) => !stopped.has(podOf(item)));
  return [...stops, ...placed].slice(0, planItems);
}

const podOf = (item: EventItem): Key | null => (item.kind === "pod" ? keyOf(item.namespace, item.name) : null);

/** What a plan in the making has so far. */
interface Making {
  readonly placer: Placer;
  readonly stops: EventItem[];
  /** Workloads whose evacuation was tried, and why their next pod found no node. */
  readonly looked: Map<Key, Refusal | null>;
}

function one(state: ReadState, view: View, workload: ReadWorkload, { placer, stops, looked }: Making): number | null {
  const slots = slotsOf(state, workload);
  const excess = surplus(state, workload, slots);
  stops.push(...excess);
  for (const pods of slots.live.values()) {
    for (const pod of pods) if (pod.state === "pending") placer.retry(workload, pod);
  }
  stops.push(...inTheWay(state, workload, slots));
  const wanted = missing(state, workload, slots);
  for (const pod of wanted) if (!awaitsPort(slots, placer, workload, pod)) placer.create(workload, pod);
  // A template change waits until the count is right: it is one pod at a time.
  if (excess.length > 0 || wanted.length > 0) return null;
  const step = rollout(state, workload, slots, view);
  stops.push(...step.items);
  if (step.create !== null) placer.create(workload, step.create);
  if (step.items.length > 0 || step.create !== null || step.wakeInMs !== null) return step.wakeInMs;
  const moved = evacuate(state, workload, slots, placer, view);
  stops.push(...moved.items);
  looked.set(keyOf(workload.namespace, workload.name), moved.refusal);
  return moved.wakeInMs;
}

/** A fixed port that one on its way out holds yet: made before that is gone, its time to become ready would begin to run. */
const awaitsPort = (slots: Slots, placer: Placer, workload: ReadWorkload, pod: NewPod): boolean =>
  pod.template.hostPorts.length > 0 && slots.isReleasing && placer.fits(workload, pod) !== null;

function stopAll(state: ReadState, workload: ReadWorkload): EventItem[] {
  const message = `Workload ${keyOf(workload.namespace, workload.name)} was deleted.`;
  return [...workload.pods].flatMap((key) => {
    const pod = state.pods.get(key);
    return pod === undefined || pod.desired !== "run" ? [] : [stopItem(state, pod, "DELETED", message)];
  });
}

function earliest(times: readonly (number | null)[]): number | null {
  return times.reduce<number | null>(
    (best, time) => (time === null ? best : best === null ? time : Math.min(best, time)),
    null,
  );
}
