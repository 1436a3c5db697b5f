// Evacuation: pods leave a draining node one at a time for each workload. A copy in the same slot becomes ready elsewhere
// before the old pod leaves the endpoints. What cannot move is said (`nodes.ts`), and nothing is stopped for it.
import type { EventItem } from "../../../schemas/generated/types.ts";
import { fencedSpec, isStuck } from "../fence.ts";
import type { ReadPod, ReadState, ReadWorkload, Template } from "../model.ts";
import { parseDurationMs } from "../quantity.ts";
import { isDraining, isLive } from "../transitions.ts";
import { elapsedMs, type Hearing, type TermTime } from "../view.ts";
import { provenInMs } from "./proven.ts";
import type { NewPod, Placer, Refusal, Slots } from "./reconcile.ts";
import { stopItem } from "./stop.ts";

export interface EvacuateStep {
  readonly items: readonly EventItem[];
  /** Why there is no node for the next copy. */
  readonly refusal: Refusal | null;
  /** Milliseconds until the copy in progress counts or is late; null when none is. */
  readonly wakeInMs: number | null;
}

const isDone = (pod: ReadPod): boolean => pod.state === "stopped";
const isServing = (pod: ReadPod): boolean => pod.state === "ready" && !pod.unheard;

/** The next step for one workload. A copy is placed through `placer`. */
export function evacuate(
  state: ReadState,
  workload: ReadWorkload,
  slots: Slots,
  placer: Placer,
  time: Hearing,
): EvacuateStep {
  const over = [...slots.live.values()].flatMap((pods) => finished(state, pods, time));
  if (over.length > 0) return { items: over, refusal: null, wakeInMs: null };
  const leave = [...slots.live.values()].flat().filter((pod) => isMover(state, pod));
  // Those that move with a copy go first: they cost nothing, and what comes after them is to find them served.
  if (leave.length > 0 && leave.every((pod) => isFenced(state, pod))) {
    return stopFirst(state, workload, slots, placer, time);
  }
  let next: NewPod | null = null;
  let inProgress: number | null = null;
  let late: ReadPod | null = null;
  for (const [slot, pods] of slots.live) {
    const movers = pods.filter((pod) => isMover(state, pod) && !isFenced(state, pod));
    const copies = pods.filter((pod) => !isDraining(state, pod));
    if (movers.length === 0) continue;
    if (copies.some((pod) => isCopyOf(pod, movers))) {
      const ready = copies.filter(isServing).map((pod) => provenInMs(state, pod, time));
      inProgress = ready.length > 0 ? Math.min(...ready) : lateIn(workload, copies, time);
      if (inProgress <= 0) late ??= copies.at(-1) ?? null;
    } else next ??= { slot, template: templateOf(workload, movers) };
  }
  // One at a time: nothing else of this workload moves before the copy in progress is ready.
  if (inProgress !== null || next === null) {
    const refusal = late === null ? null : notReady(late);
    return { items: [], refusal, wakeInMs: inProgress !== null && inProgress > 0 ? inProgress : null };
  }
  return { items: [], refusal: placer.move(workload, next), wakeInMs: null };
}

/** What of a slot may go now: pods whose copy is ready elsewhere, and those that a drain which was ended left beside another. */
function finished(state: ReadState, pods: readonly ReadPod[], time: Hearing): EventItem[] {
  const movers = pods.filter((pod) => isMover(state, pod));
  const copies = pods.filter((pod) => !isDraining(state, pod));
  if (movers.length === 0) return doubled(state, copies);
  if (!copies.some((pod) => isDone(pod) || (isServing(pod) && provenInMs(state, pod, time) === 0))) return [];
  const message = "Its node is drained, and a copy is ready elsewhere.";
  return movers.map((pod) => stopItem(state, pod, "NODE_DRAINED", message));
}

const notReady = ({ name }: ReadPod): Refusal => ({
  reason: "NOT_READY",
  message: `Pod ${name} of the same workload is not ready.`,
});

/** A pod whose node is unheard and waited for moves when that is back; one that ended for good stays. */
const isMover = (state: ReadState, pod: ReadPod): boolean =>
  isDraining(state, pod) && !pod.ended && !isStuck(state, pod);

/** Beside one that serves, the new pod of a halted change is no copy of it: that does not come to work. */
function isCopyOf(pod: ReadPod, movers: readonly ReadPod[]): boolean {
  const serving = movers.filter(isServing);
  return isServing(pod) || serving.length === 0 || serving.some(({ template }) => template === pod.template);
}

const isFenced = (state: ReadState, pod: ReadPod): boolean => fencedSpec(state, pod) !== null;

/** Fenced pods never run beside a copy: one stops when there is room for its successor, and the next when that one serves. */
function stopFirst(
  state: ReadState,
  workload: ReadWorkload,
  slots: Slots,
  placer: Placer,
  time: Hearing,
): EvacuateStep {
  const nothing: EvacuateStep = { items: [], refusal: null, wakeInMs: null };
  if (slots.leaving.size > 0) return { ...nothing, refusal: awaited(state, workload) };
  const pods = [...slots.live.values()].flat();
  const settled = pods.filter((pod) => !isDraining(state, pod) && !pod.ended);
  const unready = settled.filter((pod) => !isServing(pod));
  const [first] = unready;
  if (first !== undefined) {
    const late = lateIn(workload, unready, time);
    return late > 0 ? { ...nothing, wakeInMs: late } : { ...nothing, refusal: notReady(first) };
  }
  const wait = Math.max(0, ...settled.map((pod) => provenInMs(state, pod, time)));
  if (wait > 0) return { ...nothing, wakeInMs: wait };
  const movers = pods.filter((pod) => isMover(state, pod));
  // One that does not serve costs nothing.
  const mover = movers.find((pod) => !isServing(pod)) ?? movers[0];
  if (mover === undefined) return nothing;
  const refusal = placer.fits(workload, { slot: mover.slot, template: templateOf(workload, [mover]) });
  if (refusal !== null) return { ...nothing, refusal };
  const message = "Its node is drained; it stops before its successor starts, because a fence lets no two of them run.";
  return { ...nothing, items: [stopItem(state, mover, "NODE_DRAINED", message)] };
}

/** Why one that is on its way out does not go: its node is waited for. */
function awaited(state: ReadState, { pods }: ReadWorkload): Refusal | null {
  for (const key of pods) {
    const { name, held, desired } = state.pods.get(key) ?? {};
    if (held && desired !== "run")
      return { reason: held.reason, message: `Pod ${name} of the same workload: ${held.message}` };
  }
  return null;
}

/** One that serves stands above one that is not heard of, and that one above one that is not ready. */
const standing = (pod: ReadPod): number => (pod.state !== "ready" ? 0 : pod.unheard ? 1 : 2);

/** A drain that was ended half-way leaves two pods of one template in a slot: the one that serves, or is older, stays. */
function doubled(state: ReadState, pods: readonly ReadPod[]): EventItem[] {
  return pods.flatMap((pod, index) => {
    const yields = pods.some((other, at) => {
      if (other === pod || other.template !== pod.template) return false;
      const served = standing(other) - standing(pod);
      return served > 0 || (served === 0 && at < index);
    });
    const message = "The drain was ended, and the other pod of its slot stays.";
    return yields ? [stopItem(state, pod, "NODE_DRAINED", message)] : [];
  });
}

/** Milliseconds until a copy that is not ready is late; 0 or less when it is. */
const lateIn = (workload: ReadWorkload, copies: readonly ReadPod[], time: TermTime): number =>
  parseDurationMs(workload.spec.progressDeadline ?? "60s") -
  Math.min(...copies.map((pod) => elapsedMs(pod.created, time)));

/** A copy is made from the template of the pod it takes over for, one that serves if any does: a drain changes no template. */
function templateOf(workload: ReadWorkload, movers: readonly ReadPod[]): Template {
  const serving = movers.filter(isServing);
  const newest = Math.max(...(serving.length > 0 ? serving : movers).map((pod) => pod.template));
  return (workload.templates.get(newest) ?? workload.template) as Template;
}

/** Why a pod does not leave its draining node; null while nothing hinders it. `inSlot` has all pods of its slot. */
export function hindrance(
  state: ReadState,
  pod: ReadPod,
  inSlot: readonly ReadPod[],
  refusal: Refusal | null,
  time: TermTime,
): string | null {
  const workload = state.workloads.get(pod.workload);
  if (workload === undefined || pod.desired !== "run") return null;
  if (isStuck(state, pod)) return `its node is unheard, and workload ${workload.name} waits for it.`;
  const copies = inSlot.filter((other) => isLive(other) && !isDraining(state, other) && isCopyOf(other, [pod]));
  const late = copies.find(
    (copy) => copy.state === "failed" || (!isServing(copy) && lateIn(workload, [copy], time) <= 0),
  );
  if (late !== undefined) {
    return `its copy ${late.name} is ${late.state}${late.message === "" ? "." : `: ${late.message}`}`;
  }
  return copies.length > 0 || refusal === null ? null : `${refusal.reason}: ${refusal.message}`;
}
