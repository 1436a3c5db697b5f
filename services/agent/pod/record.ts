// What an agent remembers of one pod besides what the engine shows. Pure data; `step.ts` and `restart.ts` change it.
import type { Code } from "../../kernel/errors.ts";
import type { ContainerInfo } from "../runtime/driver.ts";

/** Why a pod is not running now, or ended for good. */
export interface Ending {
  readonly code: Code;
  readonly message: string;
}

/** A step the engine refused. */
interface Failure extends Ending {
  readonly step: StepName;
}

export type StepName = "pull" | "create" | "start" | "stop" | "remove";

/** What the checks of one container have shown. */
export interface Probe {
  readonly ready: boolean;
  /** Successes in a row. */
  readonly hits: number;
  /** Misses in a row. */
  readonly misses: number;
  /** Misses since the start, or since it was no longer ready. */
  readonly tries: number;
  /** Monotonic time of the next probe; null when none is due until something changes. */
  readonly nextAt: number | null;
  /** Why it is not ready, as far as is known; empty when it is. */
  readonly why: string;
}

/** The part that outlives the agent, in its journal. */
export interface KeptRecord {
  /** Starts of the pod after the first one. */
  readonly restarts: number;
  /** Restarts since the budget was last full. */
  readonly spent: number;
  /** Containers that were told to start in this round; one of them that does not run has ended. */
  readonly started: readonly string[];
  /** Containers that the agent stopped itself and has not seen to run since: the exit they show is no end of their own. */
  readonly stopped?: readonly string[];
  /** Exit codes, where they are known, of containers that ended in this round while others run on: somebody may remove them. */
  readonly exited?: Readonly<Record<string, number | null>>;
  /** Exit code of the container that ended last. */
  readonly exitCode: number | null;
  readonly ended: Ending | null;
  /** The state of a pod that ran to its end and is not started again. */
  readonly finished: "stopped" | "failed" | null;
  /** It was stopped here for want of a leader, and does not start before one answers. */
  readonly fenced: boolean;
  /** It is fenced and ran on after a start of the agent that has had no lease yet: the next start gives it no more time. */
  readonly unleased: boolean;
  /** Of the pod it is about, where that is known. */
  readonly templateId?: string;
}

export interface PodRecord extends KeptRecord {
  readonly stopped: readonly string[];
  readonly exited: Readonly<Record<string, number | null>>;
  /** Containers that had ended when this agent began, of which it does not know yet whether its journal was up to date then. */
  readonly found: readonly string[];
  /** The pod is taken down as a whole before it starts again. */
  readonly halting: boolean;
  /** It is not wanted any more: its containers are stopped and removed. */
  readonly leaving: boolean;
  /** Containers whose image is present. */
  readonly pulled: readonly string[];
  /** How far the pull under way is, for people; empty when none is, or it has only begun. */
  readonly progress: string;
  /** Failed steps in a row. */
  readonly attempts: number;
  readonly failure: Failure | null;
  /** Nothing is tried before this monotonic time. */
  readonly retryAt: number | null;
  /** Since when all containers run, monotonic. */
  readonly upSince: number | null;
  /**
   * False for a fenced pod that an earlier start of the agent let run on, or was stopping, or of which the next one would not
   * know that this one does: it has no time left.
   */
  readonly adoptable: boolean;
  /** That it is `unleased` is in the journal. */
  readonly noted: boolean;
  /** Since when a fenced pod could start and has no lease, monotonic; null when it does not wait for one. */
  readonly unleasedSince: number | null;
  /** By container, of those that have to show that they are ready; empty until all containers run. */
  readonly probes: Readonly<Record<string, Probe>>;
  /** The containers ran already when this agent began, and none was started since. */
  readonly adopted: boolean;
}

export const freshRecord: PodRecord = {
  restarts: 0,
  spent: 0,
  started: [],
  stopped: [],
  exited: {},
  found: [],
  exitCode: null,
  ended: null,
  finished: null,
  fenced: false,
  unleased: false,
  halting: false,
  leaving: false,
  pulled: [],
  progress: "",
  attempts: 0,
  failure: null,
  retryAt: null,
  upSince: null,
  adoptable: true,
  noted: false,
  unleasedSince: null,
  probes: {},
  adopted: false,
};

/**
 * The record of a pod found at the start of an agent: `kept` from the journal, null when there is none.
 * A running container counts as started, whatever the journal says, so that its end is noticed; so does one that has ended
 * if the pod was never started again, so that what runs once does not run twice. What the agent stopped has not ended by itself,
 * also where the journal says that it was to be started again; a stop that may be under way is carried through before the pod goes
 * on. A pod that was waiting to be started again waits the same time anew (`waitMs`).
 */
export function adoptRecord(
  kept: KeptRecord | null,
  containers: readonly ContainerInfo[],
  now: number,
  waitMs: (spent: number) => number,
): PodRecord {
  // In its first round, what has exited had been started, whether or not the journal had room to say so.
  const isFirst = kept === null || kept.restarts === 0;
  const begun = containers.filter(({ state }) => state === "running" || (isFirst && state === "exited"));
  const seen = kept?.fenced === true ? [] : begun.map(({ name }) => name);
  const isHalted = (one: ContainerInfo): boolean => kept !== null && isBeingStopped(kept, one);
  const goOn = containers.filter((one) => one.state === "running" && !isHalted(one));
  const running = new Set(goOn.map(({ name }) => name));
  const { stopped = [], exited = {} } = kept ?? {};
  const isFound = ({ name, state }: ContainerInfo): boolean =>
    state === "exited" && started.includes(name) && exited[name] === undefined;
  const all = [...new Set([...(kept?.started ?? []), ...seen])];
  const started = all.filter((name) => running.has(name) || !stopped.includes(name));
  const waiting = kept !== null && kept.finished === null && started.length === 0 && kept.spent > 0;
  return {
    ...freshRecord,
    ...kept,
    started,
    stopped,
    exited,
    found: containers.filter(isFound).map(({ name }) => name),
    halting: containers.some(isHalted),
    adopted: begun.some(({ state }) => state === "running"),
    adoptable: kept === null || !(kept.fenced || kept.unleased),
    retryAt: waiting ? now + waitMs(kept.spent) : null,
  };
}

/** These containers run: what they show from now on is of this run. */
export function seenRunning(record: PodRecord, names: readonly string[]): PodRecord {
  const stopped = record.stopped.filter((name) => !names.includes(name));
  return stopped.length === record.stopped.length ? record : { ...record, stopped };
}

/** That these containers do not run is taken for the agent's doing, until each was seen to run again; but not of one that ended before. */
export function notEnded(record: PodRecord, all: readonly string[]): PodRecord {
  const names = all.filter((name) => record.exited[name] === undefined);
  if (names.length === 0) return record;
  return {
    ...record,
    started: record.started.filter((name) => !names.includes(name)),
    found: record.found.filter((name) => !names.includes(name)),
    stopped: [...new Set([...record.stopped, ...names])],
  };
}

/** All that has not ended before is stopped, also what is just being started. */
export function broughtDown(record: PodRecord, containers: readonly ContainerInfo[]): PodRecord {
  const names = containers.map(({ name }) => name);
  return record.finished === null ? notEnded(record, names) : record;
}

/** True for one that runs, and whose stop was asked for: it may be under way in the engine. */
export function isBeingStopped({ started, stopped = [] }: KeptRecord, { name, state }: ContainerInfo): boolean {
  return state === "running" && stopped.includes(name) && !started.includes(name);
}

/** The pod is to run after all, though it was told to stop: a stop that was asked for is carried through first. */
export function takenBack(record: PodRecord, containers: readonly ContainerInfo[]): PodRecord {
  const next = { ...record, leaving: false };
  if (record.finished !== null || record.stopped.length === 0) return next;
  const halting = containers.some((one) => isBeingStopped(record, one));
  // That of a fenced one was counted when it was stopped.
  return { ...next, halting, restarts: record.restarts + (record.fenced ? 0 : 1) };
}

/** The part that goes into the journal. */
export function keptOf(record: PodRecord): KeptRecord {
  const { restarts, spent, started, stopped, exited, exitCode, ended, finished, fenced, unleased } = record;
  return { restarts, spent, started, stopped, exited, exitCode, ended, finished, fenced, unleased };
}

/** True when the journal would say the same of both. */
export function sameKept(a: PodRecord, b: PodRecord): boolean {
  return (
    a.restarts === b.restarts &&
    a.spent === b.spent &&
    a.started === b.started &&
    a.stopped === b.stopped &&
    a.exited === b.exited &&
    a.exitCode === b.exitCode &&
    a.ended === b.ended &&
    a.finished === b.finished &&
    a.fenced === b.fenced &&
    a.unleased === b.unleased
  );
}
