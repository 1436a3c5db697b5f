// What to do next about one pod: the heart of the agent, and pure. Given what the node was told, what the engine shows
// and what is remembered, it says one step; the runner does it and asks again. At the fixed point it says `wait`.
import type { AssignedPod } from "../../../schemas/generated/types.ts";
import { mayBeSameTemplate } from "../../core/template.ts";
import { bounds } from "../bounds.ts";
import type { ContainerInfo } from "../runtime/driver.ts";
import { fencedStep } from "./fence.ts";
import type { Fence } from "./fence.ts";
import { dueProbes, firstProbes } from "./readiness.ts";
import type { PodRecord } from "./record.ts";
import { seenRunning, takenBack } from "./record.ts";
import { endedBefore, endedOf, foldEndings, isStable } from "./restart.ts";

export type Step =
  /** `index` is the container's place in the pod. */
  | { readonly do: "pull" | "create"; readonly index: number }
  | { readonly do: "start"; readonly id: string; readonly name: string }
  | { readonly do: "stop" | "remove"; readonly ids: readonly string[] }
  /** Writes down what is remembered before the pod goes on. */
  | { readonly do: "note" }
  /** Nothing before this monotonic time; null = until something changes. Containers in `probe` are checked now. */
  | { readonly do: "wait"; readonly until: number | null; readonly probe: readonly string[] }
  /** It is not wanted, and nothing is left of it. */
  | { readonly do: "done" };

export interface Situation {
  /** What the node was told; null when the pod is not (or no longer) in the assignment. */
  readonly pod: AssignedPod | null;
  /** Every container the engine has of this pod, oldest knowledge first. */
  readonly containers: readonly ContainerInfo[];
  readonly record: PodRecord;
  /** Null for a pod without a fence. */
  readonly fence: Fence | null;
  readonly now: number;
}

const idle: Step = { do: "wait", until: null, probe: [] };

/** The next step, and the record after what was seen has been taken in. */
export function nextStep({ pod, containers, record, fence, now }: Situation): { record: PodRecord; step: Step } {
  const wanted = pod !== null && pod.desired === "run";
  let next = record;
  if (!wanted) next = endedByItself(pod, containers, next, now);
  if (!wanted && !next.leaving) {
    next = { ...next, leaving: true, halting: false, retryAt: null, attempts: 0, failure: null, probes: {} };
  }
  if (wanted && next.leaving) next = takenBack(next, containers);
  if (next.retryAt !== null && next.retryAt <= now) next = { ...next, retryAt: null };
  if (!wanted) return { record: next, step: leave(containers, next) };
  if (fence === null) return wantedStep(pod, containers, next, now);
  return fencedStep(pod, containers, next, fence, now, (from) => wantedStep(pod, containers, from, now));
}

function wantedStep(
  pod: AssignedPod,
  containers: readonly ContainerInfo[],
  record: PodRecord,
  now: number,
): { record: PodRecord; step: Step } {
  if (endedBefore(pod, containers, record)) return { record, step: idle };
  const byName = new Map<string, ContainerInfo>();
  const surplus: string[] = [];
  for (const container of containers) {
    const isOwn = mayBeSameTemplate(container.templateId, pod.templateId);
    const known = isOwn && pod.containers.some(({ name }) => name === container.name);
    if (known && !byName.has(container.name)) byName.set(container.name, container);
    else surplus.push(container.id);
  }
  if (surplus.length > 0 && record.retryAt === null) return { record, step: { do: "remove", ids: surplus } };
  return runStep(pod, byName, record, now);
}

/** What ran to its end before it was asked to stop has done so also if it is to run after all. */
function endedByItself(
  pod: AssignedPod | null,
  containers: readonly ContainerInfo[],
  record: PodRecord,
  now: number,
): PodRecord {
  if (pod === null || containers.length === 0 || record.finished !== null) return record;
  const next = foldEndings(pod, new Map(containers.map((one) => [one.name, one])), record, now);
  return next.restarts === record.restarts ? next : record;
}

/** Stops what runs, then removes what is there. */
function leave(containers: readonly ContainerInfo[], record: PodRecord): Step {
  if (containers.length === 0) return { do: "done" };
  if (record.retryAt !== null) return { do: "wait", until: record.retryAt, probe: [] };
  const running = containers.filter((container) => container.state === "running").map((container) => container.id);
  if (running.length > 0) return { do: "stop", ids: running };
  // The first container holds the network of the others, so it goes last.
  return { do: "remove", ids: containers.map((container) => container.id).reverse() };
}

function runStep(
  pod: AssignedPod,
  containers: ReadonlyMap<string, ContainerInfo>,
  record: PodRecord,
  now: number,
): { record: PodRecord; step: Step } {
  let next = record.finished === null ? foldEndings(pod, containers, record, now) : record;
  if (next.halting || next.finished !== null) {
    const running = [...containers.values()].filter((container) => container.state === "running");
    if (running.length > 0) {
      // A failed stop waits; the wait before the restart itself does not hold the stop up.
      if (next.failure?.step === "stop" && next.retryAt !== null) return waitFor(next);
      return { record: next, step: { do: "stop", ids: running.map((container) => container.id) } };
    }
    if (next.finished !== null) return { record: next, step: idle };
    next = { ...next, halting: false };
  }
  if (next.retryAt !== null) return waitFor(next);
  const making = makeStep(pod, containers, next);
  if (making !== null) return { record: next, step: making };
  return up(pod, containers, next, now);
}

const waitFor = (record: PodRecord): { record: PodRecord; step: Step } => ({
  record,
  step: { do: "wait", until: record.retryAt, probe: [] },
});

/** Pulls everything that is needed, then makes and starts the containers in order; null when all are started. */
function makeStep(pod: AssignedPod, containers: ReadonlyMap<string, ContainerInfo>, record: PodRecord): Step | null {
  const ended = new Set(endedOf(pod, containers, record).map(({ name }) => name));
  // One that ended while others run on, and was removed by somebody since, is not made again.
  const missing = (name: string): boolean => !containers.has(name) && !ended.has(name);
  const first = pod.containers[0];
  if (first !== undefined && missing(first.name) && containers.size > 0) {
    // The others share the network of the first one, which is gone: they are made anew with it.
    return { do: "remove", ids: [...containers.values()].map((container) => container.id).reverse() };
  }
  const unpulled = pod.containers.findIndex(({ name }) => missing(name) && !record.pulled.includes(name));
  if (unpulled >= 0) return { do: "pull", index: unpulled };
  const absent = pod.containers.findIndex(({ name }) => missing(name));
  if (absent >= 0) return { do: "create", index: absent };
  for (const { name } of pod.containers) {
    const container = containers.get(name);
    if (container === undefined || container.state === "running" || ended.has(name)) continue;
    return { do: "start", id: container.id, name };
  }
  return null;
}

function up(
  pod: AssignedPod,
  containers: ReadonlyMap<string, ContainerInfo>,
  record: PodRecord,
  now: number,
): { record: PodRecord; step: Step } {
  let next = record;
  if (next.upSince === null) {
    const names = pod.containers.map(({ name }) => name);
    const started = names.every((name) => next.started.includes(name)) ? next.started : names;
    next = {
      ...next,
      started,
      upSince: now,
      failure: null,
      attempts: 0,
      ended: null,
      probes: firstProbes(pod, next.adopted, now),
    };
  }
  // A container that was started behind our back counts as started: its end is then noticed.
  const unseen = [...containers.values()].filter((one) => one.state === "running" && !next.started.includes(one.name));
  if (unseen.length > 0) next = { ...next, started: [...next.started, ...unseen.map((one) => one.name)] };
  if (next.stopped.length > 0) next = seenRunning(next, next.started);
  // Noted when it happens: an agent that finds the pod ended, as after a power cut, does not know for how long it ran.
  if (next.spent > 0 && isStable(next, now)) next = { ...next, spent: 0 };
  const stableAt = next.spent > 0 && next.upSince !== null ? next.upSince + bounds.stableMs : null;
  const { due, until } = dueProbes(next, now);
  return { record: next, step: { do: "wait", until: earlier(until, stableAt), probe: due } };
}

const earlier = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);
