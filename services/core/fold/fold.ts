// The fold: log records in, state out. It decides which records count and applies their items; it decides nothing else.
// Called by controllers (leader and standbys) and by `swain state verify`.
import type { Event, EventItem } from "../../../schemas/generated/types.ts";
import { event as isEvent } from "../../../schemas/generated/messages.js";
import { limits } from "../../bus/limits.ts";
import { nothingTouched, type State, type Touched } from "../model.ts";
import { autoscalerApplied, autoscalerDeleted, autoscalerScaled } from "./autoscaler.ts";
import { clusterRestored, nodeChanged, nodeManaged, nodeRegistered } from "./cluster.ts";
import type { FoldContext } from "./context.ts";
import { podAssigned, podChanged, podPending, podReported, podStopping } from "./pod.ts";
import { endpointRegistered, endpointRemoved, serviceApplied, serviceDeleted } from "./service.ts";
import { workloadApplied, workloadChanged, workloadHalted, workloadScaled } from "./workload.ts";

/** The state of an empty log. */
export function emptyState(): State {
  return {
    logId: "",
    parents: [],
    clusterUid: "",
    sequence: 0,
    accepted: 0,
    epoch: 0,
    leader: "",
    lastEventId: "",
    time: 0,
    foreign: 0,
    nodes: new Map(),
    workloads: new Map(),
    services: new Map(),
    pods: new Map(),
    external: new Map(),
    autoscalers: new Map(),
    servicesOf: new Map(),
    autoscalerOf: new Map(),
    pending: new Set(),
    draining: new Set(),
    operations: new Map(),
    podCounter: 0,
  };
}

export interface FoldResult {
  /** foreign: not of this log's chain, skipped. unknown: of the chain, but not understood by this version: stop folding. */
  readonly outcome: "accepted" | "foreign" | "unknown";
  readonly touched: Touched;
  readonly event?: Event;
}

/** Folds one record. `event` is the parsed JSON body, undefined when it is none. Records come in sequence order. */
export function foldRecord(state: State, record: { sequence: number; event: unknown }): FoldResult {
  const touched = nothingTouched();
  state.sequence = record.sequence;
  if (!extendsChain(state, record.sequence, record.event)) {
    state.foreign += 1;
    return { outcome: "foreign", touched };
  }
  if (!isEvent(record.event)) return { outcome: "unknown", touched };
  const event = record.event;
  const first = event.items[0];
  if (electionOf(event.items) !== undefined) {
    state.logId = event.logId;
    state.epoch = record.sequence;
  }
  state.accepted = record.sequence;
  state.lastEventId = event.id;
  state.time = event.time;
  const context = { state, sequence: record.sequence, eventId: event.id, time: event.time, touched };
  if (first !== undefined) for (const item of event.items) applyItem(context, item);
  if (event.operation !== undefined) remember(state, event.operation, record.sequence);
  return { outcome: "accepted", touched, event };
}

const electionOf = (items: readonly EventItem[]): EventItem | undefined => items.find((item) => item.kind === "leader");

/**
 * True for an event of the current epoch that follows the last one, and for an election that does: its epoch is its own
 * sequence, so that only a writer who stated the expected sequence can have made it.
 */
export function extendsChain(state: State, sequence: number, value: unknown): boolean {
  return isOfTerm(state, sequence, value) && (value as Partial<Event>).prev === state.lastEventId;
}

/**
 * True for one that shows that an event is missing, where records from `missing` up to it are: it would extend the chain if only it
 * followed the last event, or is of a term that began there. A copy of an event may look like the first; what follows tells.
 */
export function breaksChain(state: State, missing: number, sequence: number, value: unknown): boolean {
  if (state.logId === "" || extendsChain(state, sequence, value)) return false;
  const { id, epoch = 0 } = (value ?? {}) as Partial<Event>;
  const isOfMissingTerm = typeof epoch === "number" && epoch >= missing && epoch < sequence;
  return id !== state.lastEventId && (isOfMissingTerm || isOfTerm(state, sequence, value));
}

/** An event of the current epoch, or an election, of this log or of one restored from it. */
function isOfTerm(state: State, sequence: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { logId, epoch, id, items } = value as Partial<Event>;
  if (typeof logId !== "string" || typeof id !== "string" || id === "" || !Array.isArray(items)) return false;
  const election = electionOf(items.filter((item) => typeof item === "object" && item !== null)) !== undefined;
  if (state.logId === "") return election && epoch === sequence && logId !== "";
  // A restored log continues the one it names, under an id of its own; its first event is an election like any other.
  const parent = parentOf(items);
  if (parent !== undefined) {
    return parent === state.logId && logId !== parent && logId !== "" && election && epoch === sequence;
  }
  return logId === state.logId && epoch === (election ? sequence : state.epoch);
}

function parentOf(items: readonly unknown[]): unknown {
  const restored = items.find((item) => {
    const { kind, verb } = (item ?? {}) as Partial<Record<string, unknown>>;
    return kind === "cluster" && verb === "restored";
  });
  return (restored as { parent?: unknown } | undefined)?.parent;
}

function remember(state: State, operation: string, sequence: number): void {
  state.operations.set(operation, sequence);
  if (state.operations.size <= limits.operations) return;
  const oldest = state.operations.keys().next();
  if (!oldest.done) state.operations.delete(oldest.value);
}

function applyItem(context: FoldContext, item: EventItem): void {
  switch (item.kind) {
    case "cluster":
      if (item.verb === "created") context.state.clusterUid = item.name;
      else clusterRestored(context, item);
      return;
    case "leader":
      context.state.leader = item.name;
      return;
    case "node":
      applyNode(context, item);
      return;
    case "workload":
      applyWorkload(context, item);
      return;
    case "service":
      if (item.verb === "applied") serviceApplied(context, item);
      else serviceDeleted(context, item);
      return;
    case "endpoint":
      if (item.verb === "registered") endpointRegistered(context, item);
      else endpointRemoved(context, item);
      return;
    case "autoscaler":
      applyAutoscaler(context, item);
      return;
    case "pod":
      applyPod(context, item);
  }
}

function applyNode(context: FoldContext, item: Extract<EventItem, { kind: "node" }>): void {
  switch (item.verb) {
    case "registered":
      return nodeRegistered(context, item);
    case "unknown":
    case "ready":
      return nodeChanged(context, item);
    default:
      return nodeManaged(context, item);
  }
}

function applyWorkload(context: FoldContext, item: Extract<EventItem, { kind: "workload" }>): void {
  switch (item.verb) {
    case "applied":
      return workloadApplied(context, item);
    case "scaled":
      return workloadScaled(context, item);
    case "halted":
      return workloadHalted(context, item);
    case "deleted":
    case "removed":
      return workloadChanged(context, item);
  }
}

function applyAutoscaler(context: FoldContext, item: Extract<EventItem, { kind: "autoscaler" }>): void {
  switch (item.verb) {
    case "applied":
      return autoscalerApplied(context, item);
    case "deleted":
      return autoscalerDeleted(context, item);
    case "scaled":
      return autoscalerScaled(context, item);
  }
}

function applyPod(context: FoldContext, item: Extract<EventItem, { kind: "pod" }>): void {
  switch (item.verb) {
    case "pending":
      return podPending(context, item);
    case "assigned":
      return podAssigned(context, item);
    case "stopping":
      return podStopping(context, item);
    case "drained":
    case "lost":
    case "held":
    case "removed":
      return podChanged(context, item);
    default:
      return podReported(context, item);
  }
}
