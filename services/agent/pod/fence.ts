// Fenced pods on a node: may they run, may they start, and what if not. Pure; part of `step.ts`.
import type { AssignedPod } from "../../../schemas/generated/types.ts";
import { fencing } from "../../core/fence.ts";
import type { ContainerInfo } from "../runtime/driver.ts";
import { broughtDown, isBeingStopped, notEnded } from "./record.ts";
import type { PodRecord } from "./record.ts";
import type { Step } from "./step.ts";

/** What a leader granted this node. */
export interface Lease {
  /** Monotonic time at which the last request that was granted went out; null when none was. */
  readonly grantedAt: number | null;
  /** Monotonic time from which this agent looks after pods whose lease it does not know: its start. */
  readonly adoptedAt: number;
  /** Monotonic time at which the machine was seen to have slept, until something is granted after that; else null. */
  readonly sleptAt: number | null;
}

/** Until when a fenced pod may run, and until when it may be started, monotonic. */
export interface Fence {
  readonly runUntil: number;
  readonly startUntil: number;
  /** A leader has granted something since the agent started. */
  readonly isKnown: boolean;
}

/** Said this long after a pod could have started, so that an ordinary start says nothing of leases. */
const sayAfterMs = 2000;

/** True when it is worth a word that the pod waits for a lease. */
export function lacksLease({ unleasedSince }: PodRecord, now: number): boolean {
  return unleasedSince !== null && now - unleasedSince >= sayAfterMs;
}

/** Null for a pod without a fence. */
export function fenceOf(pod: AssignedPod | null, { adoptable }: PodRecord, lease: Lease): Fence | null {
  const leaseMs = pod?.fence?.leaseMs;
  if (leaseMs === undefined) return null;
  const { grantedAt, sleptAt } = lease;
  const isKnown = grantedAt !== null;
  const adopted = adoptable ? lease.adoptedAt + fencing.adoptMs : -Infinity;
  const runUntil = grantedAt === null ? adopted : Math.max(grantedAt + leaseMs, adopted);
  if (sleptAt !== null) {
    return { runUntil: Math.min(runUntil, sleptAt + fencing.adoptMs), startUntil: -Infinity, isKnown };
  }
  // A start that drags on must be over before the lease is.
  return { runUntil, startUntil: isKnown ? grantedAt + leaseMs / 2 : -Infinity, isKnown };
}

/** The time left for the polite stop: one that begins late, or anew after a start of the agent, does not end later for it. */
export function graceLeft(fence: Fence, graceMs: number, now: number): number {
  return Math.min(graceMs, Math.max(0, fence.runUntil + graceMs - now));
}

type Next = { record: PodRecord; step: Step };

/**
 * The step of a fenced pod. `run` gives the one it would take without a fence; that is taken as long as the lease lasts,
 * but for a start, which needs more of it.
 */
export function fencedStep(
  pod: AssignedPod,
  containers: readonly ContainerInfo[],
  record: PodRecord,
  fence: Fence,
  now: number,
  run: (record: PodRecord) => Next,
): Next {
  if (record.finished !== null) return run(record);
  const mayStart = now < fence.startUntil;
  // What was stopped once is not let go on by the time an agent has after its start.
  const isOver = now >= fence.runUntil || (record.fenced && !mayStart);
  const running = containers.filter((container) => container.state === "running").map((container) => container.id);
  // The agent before may have stopped it and found no room to say so: then this note finds none either.
  const isUnsure = record.found.length > 0 && pod.restartPolicy !== "Always";
  if (isUnsure && !(isOver && running.length > 0)) return { record, step: { do: "note" } };
  // One that was never started has nothing to be stopped; it may be made, and waits.
  const begun = running.length > 0 || record.started.length > 0 || record.fenced;
  if (isOver && begun) {
    // What ran to its end while nobody looked, or the engine did not answer, ended by itself.
    const ended = running.length === 0 ? run(record) : null;
    return ended !== null && ended.record.finished !== null ? ended : stopped(pod, running, record);
  }
  if (mayStart) {
    // A stop that was asked for and not answered may be under way: the end of what runs once would pass for its own.
    const isAsked =
      record.fenced && pod.restartPolicy !== "Always" && containers.some((one) => isBeingStopped(record, one));
    const halting = record.halting || isAsked;
    const { record: next, step } = run({ ...record, fenced: false, halting, unleased: false, unleasedSince: null });
    return { record: next, step: before(step, fence.runUntil) };
  }
  const adopted = { ...record, unleased: !fence.isKnown };
  // It has the time of a start once the next start will know that, or restarts would add up.
  if (adopted.unleased && !record.noted && running.length > 0) return { record: adopted, step: { do: "note" } };
  const { record: next, step } = run(adopted);
  const until = isOver ? null : fence.runUntil;
  if (step.do !== "start") return { record: next, step: before(step, until) };
  return waiting(next, now, until);
}

/** A wait ends with the lease at the latest: then it is asked again. */
const before = (step: Step, until: number | null): Step =>
  step.do === "wait" && until !== null ? { ...step, until: Math.min(step.until ?? Infinity, until) } : step;

/** Nothing is done but to say, after a while, what is waited for. */
function waiting(record: PodRecord, now: number, until: number | null): Next {
  const unleasedSince = record.unleasedSince ?? now;
  const sayAt = unleasedSince + sayAfterMs;
  const next = sayAt > now ? Math.min(sayAt, until ?? Infinity) : until;
  return { record: { ...record, unleasedSince }, step: { do: "wait", until: next, probe: [] } };
}

function stopped(pod: AssignedPod, running: readonly string[], record: PodRecord): Next {
  const fenced = record.fenced ? record : fenceRecord(pod, record);
  const next = running.length === 0 ? notEnded(fenced, fenced.started) : fenced;
  if (running.length === 0) return { record: next, step: { do: "wait", until: null, probe: [] } };
  const mustWait = next.failure?.step === "stop" && next.retryAt !== null;
  if (mustWait) return { record: next, step: { do: "wait", until: next.retryAt, probe: [] } };
  return { record: next, step: { do: "stop", ids: running } };
}

/**
 * The engine is asked to stop containers that it shows running: that they run no more is no end or failure of their own from now
 * on. Also where the pod was told to stop: a log that loses its end may lose the order, and have it run again.
 */
export function stopAsked(record: PodRecord, containers: readonly ContainerInfo[]): PodRecord {
  if (record.fenced) {
    const next = notEnded(record, record.started);
    return next === record ? record : { ...next, restarts: record.restarts + 1 };
  }
  return record.leaving ? broughtDown(record, containers) : record;
}

/**
 * The record was written, or could not be. Whether the pod was found ended, or runs on without a lease, the next agent knows only
 * what is written: what it cannot know is not made use of.
 */
export function noted(record: PodRecord, isWritten: boolean): PodRecord {
  const { found, restarts } = record;
  if (found.length === 0) return { ...record, ...(isWritten ? { noted: true } : { adoptable: false }) };
  return isWritten ? { ...record, found: [] } : { ...notEnded(record, found), restarts: restarts + 1 };
}

/** What was started stays noted until the stop is asked: while the engine does not answer, it may end by itself. */
function fenceRecord(pod: AssignedPod, record: PodRecord): PodRecord {
  const seconds = (pod.fence?.leaseMs ?? 0) / 1000;
  const message = `No leader has answered this node for ${seconds} s: the pod is stopped here, so that it may run elsewhere.`;
  return {
    ...record,
    fenced: true,
    ended: { code: "FENCED", message },
    halting: false,
    failure: null,
    attempts: 0,
    retryAt: null,
    upSince: null,
    probes: {},
  };
}
