// What a controller tells about itself: its figures, and when it is healthy and ready. Pure; main.ts takes the snapshot.
import type { ReadState } from "../core/model.ts";
import { counter, figure, figures, gauge, histogram, Tally, Timings } from "../kernel/figures.ts";
import type { Family, Figure } from "../kernel/figures.ts";
import type { Check } from "../kernel/insight.ts";
import type { Counters } from "./counters.ts";

/** Durations and counts by label, beside the plain counters. */
export interface Measures {
  readonly append: Timings;
  readonly plan: Timings;
  readonly api: Timings;
  readonly requests: Tally;
}

export const noMeasures = (): Measures => ({
  append: new Timings(),
  plan: new Timings(),
  api: new Timings(),
  requests: new Tally(["verb", "code"]),
});

/** What waits in a term. */
export interface Queues {
  readonly changes: number;
  readonly reports: number;
  readonly assignments: number;
  readonly projections: number;
  readonly api: number;
  readonly projectionLagMs: number;
  /** Since the server last answered in time; 0 while it does. */
  readonly deafMs: number;
}

/** One look at a controller. */
export interface ControllerView {
  readonly state: ReadState;
  readonly counters: Counters;
  readonly measures: Measures;
  readonly isConnected: boolean;
  /** Since a leader's beat was heard, its own included; null when none ever was. */
  readonly heardAgoMs: number | null;
  /** It will neither fold nor lead until it is updated. */
  readonly isIdle: boolean;
  /** Its loop has come to an end. */
  readonly isOver: boolean;
  /** Null while it does not lead. */
  readonly queues: Queues | null;
}

/** Ten beats of a leader: an election takes less. As long, a server may stand still. */
export const readyBeatMs = 5000;

const families = {
  leader: gauge("swain_controller_leader", "1 while this controller leads, else 0."),
  epoch: gauge("swain_controller_epoch", "Epoch of the log as folded here."),
  sequence: gauge("swain_controller_log_sequence", "Sequence of the last record of the log folded here."),
  terms: counter("swain_controller_terms_total", "Elections won by this process."),
  appended: counter("swain_controller_events_appended_total", "Events appended and acknowledged."),
  settled: counter("swain_controller_appends_settled_total", "Appends whose outcome had to be read from the log."),
  append: histogram("swain_controller_append_duration_seconds", "From sending an event to knowing what became of it."),
  plan: histogram("swain_controller_plan_duration_seconds", "Making one plan."),
  foreign: counter("swain_controller_foreign_records_total", "Records of the log that no leader wrote."),
  dropped: counter("swain_controller_messages_dropped_total", "Messages that made no sense and had no one to answer."),
  malformed: counter("swain_controller_messages_malformed_total", "Messages refused because they made no sense."),
  refused: counter(
    "swain_controller_items_refused_total",
    "Items the checker refused, and planners that did not come to rest; each is a defect.",
  ),
  busy: counter("swain_controller_busy_total", "Requests answered BUSY."),
  stalls: counter("swain_controller_stalls_total", "Stalls of the process's own loop longer than a second."),
  deaf: gauge(
    "swain_controller_deaf_seconds",
    "Since the server last answered the leader in time; nobody is given up for silence meanwhile.",
  ),
  projected: counter("swain_controller_projections_written_total", "Projections written, deletions included."),
  edited: counter("swain_controller_projections_edited_total", "Projections changed by someone else, overwritten."),
  assignments: counter("swain_controller_assignments_sent_total", "Assignments sent to agents.", ["kind"]),
  snapshots: counter("swain_controller_snapshots_total", "Snapshots of the log made and verified for this process."),
  snapshotFailures: counter("swain_controller_snapshot_failures_total", "Work on snapshots that failed."),
  snapshotsBroken: counter("swain_controller_snapshots_broken_total", "Snapshots found damaged, missing or unfit."),
  snapshotSequence: gauge("swain_controller_snapshot_sequence", "Sequence of the newest good snapshot known here."),
  cuts: counter("swain_controller_log_cuts_total", "Times this process cut the log."),
  queue: gauge("swain_controller_queue_length", "What waits in the leader.", ["queue"]),
  lag: gauge("swain_controller_projection_lag_seconds", "Age of the oldest projection not written yet."),
  requests: counter("swain_controller_api_requests_total", "API requests answered; code OK or an error's.", [
    "verb",
    "code",
  ]),
  api: histogram("swain_controller_api_duration_seconds", "From receiving an API request to answering it."),
  nodes: gauge("swain_cluster_nodes", "Nodes by state.", ["state"]),
  pods: gauge("swain_cluster_pods", "Pods by state; unknown while their node is unheard.", ["state"]),
  workloads: gauge("swain_cluster_workloads", "Workloads."),
  services: gauge("swain_cluster_services", "Services."),
} satisfies Record<string, Family>;

/** All families, for documents and tests. */
export const controllerFamilies: readonly Family[] = Object.values(families);

export function controllerFigures({ state, counters, measures, queues }: ControllerView): Figure[] {
  const waiting = queues ?? {
    changes: 0,
    reports: 0,
    assignments: 0,
    projections: 0,
    api: 0,
    projectionLagMs: 0,
    deafMs: 0,
  };
  const { projectionLagMs, deafMs, ...lengths } = waiting;
  return [
    figure(families.leader, queues === null ? 0 : 1),
    figure(families.epoch, state.epoch),
    figure(families.sequence, state.sequence),
    figure(families.terms, counters.terms),
    figure(families.appended, counters.appended),
    figure(families.settled, counters.settled),
    measures.append.of(families.append),
    measures.plan.of(families.plan),
    figure(families.foreign, counters.foreign),
    figure(families.dropped, counters.dropped),
    figure(families.malformed, counters.malformed),
    figure(families.refused, counters.refused),
    figure(families.busy, counters.busy),
    figure(families.stalls, counters.stalls),
    figure(families.deaf, deafMs / 1000),
    figure(families.projected, counters.projected),
    figure(families.edited, counters.edited),
    figures(families.assignments, [
      ["difference", counters.assigned],
      ["hint", counters.hinted],
    ]),
    figure(families.snapshots, counters.snapshots),
    figure(families.snapshotFailures, counters.snapshotFailures),
    figure(families.snapshotsBroken, counters.snapshotsBroken),
    figure(families.snapshotSequence, counters.snapshotSequence),
    figure(families.cuts, counters.cuts),
    figures(families.queue, Object.entries(lengths)),
    figure(families.lag, projectionLagMs / 1000),
    measures.requests.of(families.requests),
    measures.api.of(families.api),
    ...clusterFigures(state),
  ];
}

function clusterFigures(state: ReadState): Figure[] {
  const nodes = new Map<string, number>([
    ["ready", 0],
    ["unknown", 0],
  ]);
  for (const node of state.nodes.values()) nodes.set(node.state, (nodes.get(node.state) ?? 0) + 1);
  const pods = new Map<string, number>();
  for (const pod of state.pods.values()) {
    const shown = pod.unheard ? "unknown" : pod.state;
    pods.set(shown, (pods.get(shown) ?? 0) + 1);
  }
  return [
    figures(families.nodes, nodes),
    figures(families.pods, pods),
    figure(families.workloads, state.workloads.size),
    figure(families.services, state.services.size),
  ];
}

/** Healthy: its loop runs. Everything else heals without a restart. */
export function controllerHealth({ isOver }: Pick<ControllerView, "isOver">): Check[] {
  return [{ name: "loop", ok: !isOver, message: isOver ? "the controller has ended" : "runs" }];
}

/** Ready: on the bus, and a leader is heard, be it this one or another that it follows. */
export function controllerReady(
  view: Pick<ControllerView, "isConnected" | "heardAgoMs" | "isIdle" | "queues">,
): Check[] {
  const { isConnected, heardAgoMs, isIdle, queues } = view;
  const heard = heardAgoMs !== null && heardAgoMs <= readyBeatMs;
  const ago = heardAgoMs === null ? "no leader heard yet" : `leader heard ${(heardAgoMs / 1000).toFixed(1)} s ago`;
  const deafMs = queues?.deafMs ?? 0;
  const slow = deafMs > readyBeatMs ? `; the server has not answered in time for ${(deafMs / 1000).toFixed(1)} s` : "";
  return [
    { name: "bus", ok: isConnected && slow === "", message: `${isConnected ? "connected" : "not connected"}${slow}` },
    { name: "leader", ok: heard, message: queues === null ? ago : `leads; ${ago}` },
    { name: "log", ok: !isIdle, message: isIdle ? "waits for its update: the log is newer" : "followed" },
  ];
}
