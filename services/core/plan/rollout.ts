// Rollout: a changed template, one pod at a time. New ready → in the endpoints → old out → proxies acked → drained → stopped.
// A new pod that fails halts the change with its reason; the old pods serve on.
import type { EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { isCode } from "../../kernel/errors.ts";
import { fencedSpec, isStuck } from "../fence.ts";
import type { ReadPod, ReadState, ReadWorkload, Template } from "../model.ts";
import { parseDurationMs } from "../quantity.ts";
import { elapsedMs, type Hearing } from "../view.ts";
import { provenInMs } from "./proven.ts";
import type { NewPod, Slots } from "./reconcile.ts";
import { stopItem } from "./stop.ts";

export interface RolloutStep {
  readonly items: readonly EventItem[];
  /** At most one. */
  readonly create: NewPod | null;
  /** Milliseconds until the pod in progress counts or is late; null when none is. */
  readonly wakeInMs: number | null;
}

const nothing: RolloutStep = { items: [], create: null, wakeInMs: null };

/** The next step of a template change, or nothing when all pods are of the current template. */
export function rollout(state: ReadState, workload: ReadWorkload, slots: Slots, time: Hearing): RolloutStep {
  const current = workload.template.generation;
  // A pod whose node is waited for is changed when that is back.
  const mixed = [...slots.live.entries()].filter(
    ([, pods]) => pods.some((pod) => pod.template !== current) && !pods.some((pod) => isStuck(state, pod)),
  );
  if (mixed.length === 0) return nothing;
  const finished = replaced(state, mixed, current, time);
  if (finished.length > 0) return { items: finished, create: null, wakeInMs: null };
  if (workload.halted !== null) return nothing;
  const inProgress = [...slots.live.values()]
    .flat()
    .find((pod) => pod.template === current && !counts(state, pod, time) && !(isReady(pod) && isStuck(state, pod)));
  if (inProgress !== undefined) return judge(state, workload, inProgress, time);
  return begin(state, workload, slots, mixed);
}

const isReady = (pod: ReadPod): boolean =>
  pod.state === "ready" || (pod.state === "stopped" && pod.reason === "COMPLETED");

/** A new pod takes an old one's place only when it is ready and has shown that it stays so. */
const counts = (state: ReadState, pod: ReadPod, time: Hearing): boolean =>
  isReady(pod) && (pod.state !== "ready" || provenInMs(state, pod, time) === 0);

/** Where its node is silent nobody knows whether it still serves: it comes back, or is made anew or given up. */
const isHeard = (pod: ReadPod): boolean => pod.ended || !pod.unheard;

/** Old pods whose slot has a ready new one, and old pods that never worked beside one of another template that does. */
function replaced(
  state: ReadState,
  mixed: readonly (readonly [number, readonly ReadPod[]])[],
  current: number,
  time: Hearing,
): EventItem[] {
  return mixed.flatMap(([, pods]) => {
    const done = pods.some((pod) => pod.template === current && isHeard(pod) && counts(state, pod, time));
    const old = pods.filter((pod) => pod.template !== current);
    const works = (template: number): boolean =>
      old.some((pod) => pod.template === template && (isReady(pod) || pod.wasReady));
    // One of a template that works is the copy a drain makes, which may still come to work.
    const beaten = (pod: ReadPod): boolean =>
      !pod.wasReady && !works(pod.template) && old.some((other) => other.template !== pod.template && isReady(other));
    return old
      .filter((pod) => done || beaten(pod))
      .map((pod) => stopItem(state, pod, "TEMPLATE_CHANGED", "Replaced by a pod of the changed template."));
  });
}

/** A new pod that does not count yet: wait, or halt. */
function judge(state: ReadState, workload: ReadWorkload, pod: ReadPod, time: Hearing): RolloutStep {
  if (pod.state === "ready") return { items: [], create: null, wakeInMs: provenInMs(state, pod, time) };
  const deadline = parseDurationMs(workload.spec.progressDeadline ?? "60s");
  // One that was ready has the time anew, however long ago it was made.
  const remaining = deadline - elapsedMs(pod.wasReady ? pod.since : pod.created, time);
  // That it became ready may be under way.
  const left = time.isDeaf ? Math.max(remaining, limits.heartbeatMs) : remaining;
  const broken = pod.state === "failed" || (pod.state === "backoff" && pod.restarts > 0);
  if (!broken && left > 0) return { items: [], create: null, wakeInMs: left };
  const reason = isCode(pod.reason) ? pod.reason : "PROGRESS_DEADLINE";
  const why = pod.message === "" ? `it was not ready within ${deadline / 1000} s` : pod.message;
  const item: EventItem = {
    kind: "workload",
    verb: "halted",
    namespace: workload.namespace,
    name: workload.name,
    reason,
    message: `The change stopped at pod ${pod.name}: ${why} Old pods serve on.`.replace(/([^.!?]) Old/, "$1. Old"),
  };
  return { items: [item], create: null, wakeInMs: null };
}

/** The next slot: one whose old pod does not serve anyway, else the lowest. */
function begin(
  state: ReadState,
  workload: ReadWorkload,
  slots: Slots,
  mixed: readonly (readonly [number, readonly ReadPod[]])[],
): RolloutStep {
  const ready = (pods: readonly ReadPod[]): number => (pods.some(isReady) ? 1 : 0);
  // One that has its new pod waits for that pod's node.
  const open = mixed.filter(([, pods]) => pods.every((pod) => pod.template !== workload.template.generation));
  const [next] = open.toSorted(([slotA, a], [slotB, b]) => ready(a) - ready(b) || slotA - slotB);
  if (next === undefined) return nothing;
  const [slot, pods] = next;
  const template = workload.template as Template;
  const isFenced = template.spec.fence === true || pods.some((pod) => fencedSpec(state, pod) !== null);
  if (template.hostPorts.length === 0 && !isFenced) {
    return { items: [], create: { slot, template }, wakeInMs: null };
  }
  // A fixed port cannot be held twice, and a fence lets no two run: the old pod goes first, the next only when this slot is
  // filled again. One whose node is silent may be down as well: first it comes back, or is made anew or given up.
  const others = [...slots.live.values()].filter((other) => other !== pods).flat();
  const isAway = others.some((pod) => pod.unheard && !pod.ended && pod.held === null);
  if (isAway || slots.leaving.size > 0 || slots.live.size < (workload.spec.replicas ?? 1)) return nothing;
  const why = isFenced ? "a fence lets no two of them run" : "both need the same hostPort";
  const message = `Stops before its successor starts, because ${why}.`;
  return { items: pods.map((pod) => stopItem(state, pod, "TEMPLATE_CHANGED", message)), create: null, wakeInMs: null };
}
