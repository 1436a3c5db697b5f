// What an agent process tells about itself: its figures, and when it is healthy and ready. Pure. Many simulated nodes of
// one process are counted together, so that their number does not become the number of series.
import { counter, figure, figures, gauge, histogram, Tally, Timings } from "../kernel/figures.ts";
import type { Family, Figure } from "../kernel/figures.ts";
import type { Check } from "../kernel/insight.ts";

/** What all agents of a process count together. */
export interface Meter {
  readonly engineCalls: Tally;
  readonly engineTime: Timings;
  journalWrites: number;
  journalErrors: number;
  reports: number;
  reportErrors: number;
}

export const newMeter = (): Meter => ({
  engineCalls: new Tally(["call", "code"]),
  engineTime: new Timings(),
  journalWrites: 0,
  journalErrors: 0,
  reports: 0,
  reportErrors: 0,
});

/** One look at one node's agent. */
export interface AgentView {
  readonly isConnected: boolean;
  readonly isOver: boolean;
  /** States of the pods here, as last reported. */
  readonly podStates: readonly string[];
  readonly restarts: number;
  /** States of pods that wait for the leader's acknowledgement. */
  readonly reportsWaiting: number;
  readonly reportsInFlight: number;
  /** Generation of the assignment held. */
  readonly generation: number;
}

const families = {
  nodes: gauge("swain_agent_nodes", "Nodes this process looks after; more than one only when simulated."),
  connected: gauge("swain_agent_nodes_connected", "Of those, how many are connected to the bus."),
  pods: gauge("swain_agent_pods", "Pods on this node by state.", ["state"]),
  restarts: gauge("swain_agent_pod_restarts", "Restarts of the pods that are here now."),
  generation: gauge("swain_agent_assignment_generation", "Generation of the assignment held; the newest of several."),
  calls: counter("swain_agent_engine_calls_total", "Calls to the engine; code OK or an error's.", ["call", "code"]),
  callTime: histogram("swain_agent_engine_call_duration_seconds", "Duration of calls to the engine, pulls included."),
  reports: counter("swain_agent_reports_total", "Reports acknowledged by the leader."),
  reportErrors: counter("swain_agent_report_errors_total", "Reports refused or not answered; they are sent again."),
  inFlight: gauge("swain_agent_reports_in_flight", "Reports on their way to the leader."),
  waiting: gauge("swain_agent_report_pods_waiting", "Pods whose state the leader has not acknowledged."),
  journal: counter("swain_agent_journal_writes_total", "Writes of the journal to disk."),
  journalErrors: counter("swain_agent_journal_errors_total", "Writes of the journal that failed."),
} satisfies Record<string, Family>;

/** All families, for documents and tests. */
export const agentFamilies: readonly Family[] = Object.values(families);

export function agentFigures(meter: Meter, views: readonly AgentView[]): Figure[] {
  const sum = (of: (view: AgentView) => number): number => views.reduce((total, view) => total + of(view), 0);
  const states = new Map<string, number>();
  for (const view of views) for (const state of view.podStates) states.set(state, (states.get(state) ?? 0) + 1);
  return [
    figure(families.nodes, views.length),
    figure(
      families.connected,
      sum((view) => (view.isConnected ? 1 : 0)),
    ),
    figures(families.pods, states),
    figure(
      families.restarts,
      sum((view) => view.restarts),
    ),
    figure(
      families.generation,
      views.reduce((most, view) => Math.max(most, view.generation), 0),
    ),
    meter.engineCalls.of(families.calls),
    meter.engineTime.of(families.callTime),
    figure(families.reports, meter.reports),
    figure(families.reportErrors, meter.reportErrors),
    figure(
      families.inFlight,
      sum((view) => view.reportsInFlight),
    ),
    figure(
      families.waiting,
      sum((view) => view.reportsWaiting),
    ),
    figure(families.journal, meter.journalWrites),
    figure(families.journalErrors, meter.journalErrors),
  ];
}

/** Healthy: its loops run. A missing bus or engine is waited for, and a restart would not bring it. */
export function agentHealth(views: readonly AgentView[]): Check[] {
  const ok = !views.some((view) => view.isOver);
  return [{ name: "loop", ok, message: ok ? "runs" : "the agent has ended" }];
}

/** Ready: on the bus, and the engine answers. `engine` is the engine's description, or why there is none. */
export function agentReady(
  views: readonly AgentView[],
  engine: { readonly ok: boolean; readonly message: string },
): Check[] {
  const connected = views.filter((view) => view.isConnected).length;
  const message =
    views.length === 1 ? (connected === 1 ? "connected" : "not connected") : `${connected} of ${views.length}`;
  return [
    { name: "bus", ok: connected === views.length, message },
    { name: "engine", ...engine },
  ];
}
