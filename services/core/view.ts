// What a plan may know besides the state: things heard on the bus and not worth an event.
import type { EventItem, Trouble } from "../../schemas/generated/types.ts";
import type { Key } from "./model.ts";

/** A proxy heard lately. */
export interface ProxyView {
  readonly id: string;
  /** Milliseconds since it was last heard. */
  readonly heardAgoMs: number;
  /** False while a heartbeat may be missing: then it may serve more than is known here. */
  readonly whole: boolean;
  /** Service → endpoints key part (`head`, `0`, `1` …) → sequence it has applied. */
  readonly applied: ReadonlyMap<Key, ReadonlyMap<string, number>>;
  /** Pods that are no endpoints any more → connections still open. */
  readonly open: ReadonlyMap<Key, number>;
  /** Milliseconds in which it could read what was written: since it was first heard in this term, or the bus was last away. */
  readonly reachableMs: number;
}

export interface View {
  /** The leader's clock of this term, milliseconds since 1970; never goes back within a term. */
  readonly now: number;
  /** Milliseconds since this controller took the lead. */
  readonly termAgeMs: number;
  readonly before: Before;
  /** Node → milliseconds since it was last heard, or since this term began, own stalls and disconnects taken off; below 4 s until a silence was looked into. */
  readonly heardAgoMs: ReadonlyMap<string, number>;
  /** Node → why it cannot start pods, as its agent says, or that this follows another log; null when it can, left out while it was not heard this term. */
  readonly troubles: ReadonlyMap<string, Trouble | null>;
  readonly proxies: readonly ProxyView[];
  /**
   * Service → milliseconds since what proxies read of it was written, where that was late: 0 while a part of it waits. Undefined for
   * one that is written in time, and for one whose writing came late long ago.
   */
  readonly writtenAgoMs: Pick<ReadonlyMap<Key, number>, "get">;
  /** Sequence of an event of this term → milliseconds since it is in the log, where it came there long after its time. */
  readonly lateAgoMs: ReadonlyMap<number, number>;
  /** True unless the log is known to have one replica: then a leader that was followed by another may read it stale for a while. */
  readonly logReplicated: boolean;
  /** External endpoint (by id) → milliseconds since it was last renewed; left out while it was not in this term. */
  readonly renewedAgoMs: ReadonlyMap<string, number>;
  /** True while silence says nothing: nobody can be heard, or could not be a moment ago. */
  readonly isDeaf: boolean;
}

/** The last event before this term. */
export interface Before {
  /** By the clock of the leader that wrote it; 0 when there was none. */
  readonly time: number;
  /** Milliseconds since it was folded here, by the clock of this controller. */
  readonly agoMs: number;
}

/** The leader's clock. */
export type TermTime = Pick<View, "now" | "termAgeMs" | "before">;

/** The same, and whether it would hear what happens meanwhile. */
export type Hearing = TermTime & Pick<View, "heardAgoMs" | "isDeaf">;

/**
 * Milliseconds since an event time, or less. One that an earlier leader may have stamped is compared with what that leader
 * wrote last, and the rest is measured here, so that two clocks that differ do not make it older. One that lies ahead is of an
 * earlier leader in any case: at least this term has passed.
 */
export function elapsedMs(since: number, { now, termAgeMs, before }: TermTime): number {
  const here = since <= now ? now - since : termAgeMs;
  return since > before.time ? here : Math.min(here, before.time - since + before.agoMs);
}

/** A plan: items of one event, why, and when to look again if nothing happens. */
export interface Plan {
  readonly cause: string;
  readonly items: readonly EventItem[];
  /** Milliseconds from now until a timer in the state may be due; null when none runs. */
  readonly wakeInMs: number | null;
}
