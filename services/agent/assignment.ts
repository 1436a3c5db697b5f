// What this node was told to run, and what to do with a message that tells it anew. Pure.
import type { Assign, AssignedPod } from "../../schemas/generated/types.ts";
import type { Key } from "../core/model.ts";
import { isOfLostEnd, isOtherTerm } from "../core/lease.ts";
import { keyOf } from "../core/model.ts";
import { mayBeSameTemplate } from "../core/template.ts";

/** The assignment an agent holds. */
export interface Held {
  /** Empty until the first assignment. */
  readonly logId: string;
  readonly clusterUid: string;
  /** Of the leader that told it. */
  readonly epoch: number;
  /** As that leader named its term; empty when it did not. */
  readonly term: string;
  readonly generation: number;
  readonly items: ReadonlyMap<Key, AssignedPod>;
}

export const nothingHeld: Held = { logId: "", clusterUid: "", epoch: 0, term: "", generation: 0, items: new Map() };

export type Verdict =
  /** Hold this from now on. `full`: it tells everything, so what is not in it is not wanted. */
  | { readonly take: Held; readonly full: boolean }
  /** It is what is held already. */
  | { readonly keep: "same" }
  /** It is older than what is held, or the log lost what is held: a leader must be asked. */
  | { readonly keep: "stale" }
  /** It belongs to another log. */
  | { readonly keep: "foreign" }
  /** It does not follow what is held: everything has to be asked for. */
  | { readonly keep: "gap" };

/** Judges an assignment that arrived whole (not a page of several). */
export function judge(held: Held, message: Assign): Verdict {
  const full = message.base === 0 && message.next === undefined;
  if (held.logId !== "" && message.logId !== held.logId) {
    // A copy of the cluster was restored from its log, too.
    const isHeir = message.parents?.includes(held.logId) === true && message.clusterUid === held.clusterUid;
    if (!isHeir) return { keep: "foreign" };
    // A restored log counts anew: nothing it says compares with what is held.
    return full ? { take: holding(message, new Map(), message.items), full } : { keep: "gap" };
  }
  // Numbers of another election at the same sequence do not compare, and which one was later is not seen from here.
  if (isOtherTerm(held, message)) return { keep: "stale" };
  // A later leader knows all that earlier ones had acknowledged, unless the log lost its end, as in a power cut of a server
  // that does not sync each write. What was told from there never happened.
  const isLost = isOfLostEnd(held, message);
  if (message.generation < held.generation && !isLost) return { keep: "stale" };
  if (full) return { take: holding(message, new Map(), message.items), full };
  if (message.next !== undefined || held.logId === "" || isLost) return { keep: "gap" };
  if (message.generation === held.generation) return { keep: "same" };
  // Items are absolute, so a difference from an older base includes the one from what is held.
  if (message.base > held.generation) return { keep: "gap" };
  const rest = new Map(held.items);
  for (const key of message.gone) rest.delete(key);
  return { take: holding(message, rest, message.items), full: false };
}

function holding(message: Assign, rest: Map<Key, AssignedPod>, items: readonly AssignedPod[]): Held {
  for (const item of items) rest.set(keyOf(item.namespace, item.name), item);
  const { logId, clusterUid, epoch, term = "", generation } = message;
  return { logId, clusterUid, epoch, term, generation, items: rest };
}

/** Pods of those held that are not to run on, by what was told since: leases of the leader that told it are not for them. */
export function withdrawn(held: Held, told: Held): Set<Key> {
  const goesOn = ([key, { templateId }]: readonly [Key, AssignedPod]): boolean => {
    const next = told.items.get(key);
    return next?.desired === "run" && mayBeSameTemplate(templateId, next.templateId);
  };
  return new Set([...held.items].filter((item) => !goesOn(item)).map(([key]) => key));
}

/** True for pages of one sync that may be joined: one leader says them of one generation. */
export function isSameTelling(one: Assign, other: Assign): boolean {
  const { logId, epoch, term = "", generation } = one;
  const isSameLeader = logId === other.logId && epoch === other.epoch && term === (other.term ?? "");
  return isSameLeader && generation === other.generation;
}

/** Joins the pages of one sync into one message; null when they do not belong together. */
export function joinPages(pages: readonly Assign[]): Assign | null {
  const first = pages[0];
  if (first === undefined || !pages.every((page) => isSameTelling(page, first))) return null;
  const { next: _, ...rest } = first;
  return { ...rest, base: 0, items: pages.flatMap((page) => page.items), gone: [] };
}
