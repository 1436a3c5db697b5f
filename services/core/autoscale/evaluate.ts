// The decision of an autoscaler: from what is seen now to the replicas its workload should have, with the reason. Pure.
// Called by the controller's autoscaling loop, which writes what is decided, and by the API, which shows it.
import type { AutoscaleEvaluation, AutoscaleMetric, AutoscalerSpec } from "../../../schemas/generated/types.ts";
import type { Code } from "../../kernel/errors.ts";
import { keyOf, type ReadAutoscaler, type ReadState } from "../model.ts";
import { parseDurationMs } from "../quantity.ts";
import { elapsedMs, type TermTime } from "../view.ts";
import { begin, type History, highest, lowest, observe } from "./history.ts";
import { judgeMetric, type Resource, type UseOf, whyKept } from "./metric.ts";

export interface Evaluated {
  readonly evaluation: AutoscaleEvaluation;
  /** What the next evaluation is given; null while there is nothing to scale. */
  readonly history: History | null;
}

/** An admitted spec has every default in place. */
type Spec = ReadAutoscaler["spec"];
const msOf = (duration: string | undefined): number => (duration === undefined ? 0 : parseDurationMs(duration));

/** Milliseconds until the next change is allowed. */
export function cooldownLeftMs({ spec, changedAt }: ReadAutoscaler, time: TermTime): number {
  return changedAt === null ? 0 : Math.max(0, msOf(spec.cooldown) - elapsedMs(changedAt, time));
}

/** `history` is that of the evaluation before, null at first. */
export function evaluate(
  state: ReadState,
  autoscaler: ReadAutoscaler,
  useOf: UseOf,
  history: History | null,
  time: TermTime,
): Evaluated {
  const { namespace, spec } = autoscaler;
  const { now } = time;
  const workload = state.workloads.get(keyOf(namespace, spec.workload));
  if (workload === undefined || workload.deleting) {
    return idle("WORKLOAD_MISSING", `There is no workload ${spec.workload} in namespace ${namespace}.`);
  }
  const replicas = workload.spec.replicas ?? 1;
  if (replicas === 0) {
    const message = `Workload ${spec.workload} was scaled to 0 by hand and is left alone.`;
    return idle("SCALED_TO_ZERO", message, replicas);
  }
  const metrics = (["cpu", "memory"] as const).flatMap((resource) => {
    const target = spec[resource];
    const tolerance = spec.tolerance ?? 0;
    return target === undefined ? [] : judgeMetric(state, workload, useOf, time, { resource, target, tolerance });
  });
  const asked = highestOf(metrics, replicas);
  const recommended = clamp(asked, spec);
  const windows = { up: msOf(spec.scaleUp?.window), down: msOf(spec.scaleDown?.window) };
  const longest = Math.max(windows.up, windows.down);
  const seen = observe(history ?? begin(replicas, now), recommended, now, longest);
  const up = lowest(seen, recommended, now, windows.up);
  const down = highest(seen, recommended, now, windows.down);
  const settled = replicas < up ? up : replicas > down ? down : replicas;
  const outside = isOutside(replicas, spec);
  const desired = clamp(outside ? replicas : limited(settled, replicas, spec), spec);
  const facts = { spec, metrics, replicas, asked, recommended, settled, desired };
  const cooldown = desired === replicas || outside ? 0 : cooldownLeftMs(autoscaler, time);
  const told = explain(facts, cooldown);
  const evaluation: AutoscaleEvaluation = {
    replicas,
    recommended,
    desired: cooldown > 0 ? replicas : desired,
    ...told,
    ...(cooldown > 0 ? { cooldownUntil: Math.round(now + cooldown) } : {}),
    metrics,
  };
  return { evaluation, history: seen };
}

function idle(reason: Code, message: string, replicas?: number): Evaluated {
  const count = replicas === undefined ? {} : { replicas };
  return { evaluation: { ...count, reason, message, metrics: [] }, history: null };
}

const clamp = (count: number, { minReplicas, maxReplicas }: Spec): number =>
  Math.min(maxReplicas, Math.max(minReplicas, count));

/** True when the workload has a count the autoscaler never gives it; then it is brought back at once. */
export const isOutside = (replicas: number, spec: Spec): boolean =>
  replicas !== 0 && (replicas < spec.minReplicas || replicas > spec.maxReplicas);

/** The most any metric asks for. One that cannot tell asks for no less than there is. */
function highestOf(metrics: readonly AutoscaleMetric[], replicas: number): number {
  return Math.max(...metrics.map(({ recommended }) => recommended ?? replicas));
}

/** As far towards `count` as one change may go: the greater of percent and pods, at least one pod. */
function limited(count: number, replicas: number, { scaleUp, scaleDown }: Spec): number {
  const stepOf = (step: AutoscalerSpec["scaleUp"]): number =>
    Math.max(1, step?.pods ?? 0, Math.ceil((replicas * (step?.percent ?? 0)) / 100));
  if (count > replicas) return Math.min(count, replicas + stepOf(scaleUp));
  return Math.max(count, replicas - stepOf(scaleDown));
}

interface Facts {
  readonly spec: Spec;
  readonly metrics: readonly AutoscaleMetric[];
  readonly replicas: number;
  readonly asked: number;
  readonly recommended: number;
  readonly settled: number;
  readonly desired: number;
}

type Told = { reason: Code; message: string };

function explain(facts: Facts, cooldown: number): Told {
  const { spec, replicas, recommended, settled, desired } = facts;
  const seen = toldOf(facts, metricText);
  if (isOutside(replicas, spec)) {
    const bounds = `${spec.minReplicas} to ${spec.maxReplicas}`;
    return { reason: "OUTSIDE_BOUNDS", message: `${counted(replicas)} not within ${bounds}.` };
  }
  if (desired === replicas) return explainRest(facts, seen);
  if (cooldown > 0) {
    const message = `${desired} ${desired === 1 ? "replica comes" : "replicas come"} when the cooldown of ${spec.cooldown} is over. ${seen}.`;
    return { reason: "COOLDOWN", message };
  }
  const steps = [
    settled === recommended ? "" : `${recommended} ${isOrAre(recommended)} asked for now, the window allows ${settled}`,
    desired === settled ? "" : `one step goes no further than ${desired}`,
  ].filter((text) => text !== "");
  const message = `${[seen, ...steps].join("; ")}.`;
  return { reason: desired > replicas ? "ABOVE_TARGET" : "BELOW_TARGET", message };
}

/** All metrics in words. The one that asks for the most decides, so it is told first. */
function toldOf({ metrics, replicas }: Facts, text: (metric: AutoscaleMetric) => string): string {
  const asks = ({ recommended: count }: AutoscaleMetric): number => count ?? replicas;
  return metrics
    .toSorted((one, other) => asks(other) - asks(one))
    .map(text)
    .join("; ");
}

/** Why nothing is done. */
function explainRest(facts: Facts, seen: string): Told {
  const { spec, metrics, replicas, asked, recommended } = facts;
  if (recommended < replicas) {
    const message = `${counted(recommended)} asked for now, more were within the last ${spec.scaleDown?.window}. ${seen}.`;
    return { reason: "STABILISING", message };
  }
  if (recommended > replicas) {
    const message = `${counted(recommended)} asked for now, fewer were within the last ${spec.scaleUp?.window}. ${seen}.`;
    return { reason: "STABILISING", message };
  }
  if (asked > spec.maxReplicas) {
    return {
      reason: "AT_MAXIMUM",
      message: `${counted(asked)} asked for, ${spec.maxReplicas} ${isOrAre(spec.maxReplicas)} allowed. ${seen}.`,
    };
  }
  if (asked < spec.minReplicas) {
    return {
      reason: "AT_MINIMUM",
      message: `${asked} ${asked === 1 ? "replica" : "replicas"} would do, ${spec.minReplicas} ${isOrAre(spec.minReplicas)} the least. ${seen}.`,
    };
  }
  const blind = metrics.find(({ reason }) => reason !== "");
  if (blind !== undefined) return { reason: blind.reason as Code, message: `${seen}.` };
  return { reason: "ON_TARGET", message: `${toldOf(facts, (metric) => restText(metric, facts))}.` };
}

const isOrAre = (count: number): string => (count === 1 ? "is" : "are");

/** `1 replica is`, `3 replicas are` */
const counted = (count: number): string => `${count} ${count === 1 ? "replica" : "replicas"} ${isOrAre(count)}`;

/** A metric that asks for what there is, with why where its use alone does not say so. */
function restText(metric: AutoscaleMetric, { replicas, spec }: Facts): string {
  const why = whyKept(metric, replicas, spec.tolerance ?? 0);
  return why === "" ? metricText(metric) : `${metricText(metric)}, and ${why}`;
}

const resourceNames: Readonly<Record<Resource, string>> = { cpu: "CPU", memory: "memory" };

function metricText({ resource, target, percent, pods, missing, notReady, reason }: AutoscaleMetric): string {
  const name = resourceNames[resource];
  if (reason === "NO_REQUEST") return `${name}: the workload's containers have no request to compare with`;
  const others = [missing > 0 ? `${missing} without figures` : "", notReady > 0 ? `${notReady} not ready` : ""];
  const beside = others.filter((text) => text !== "").join(", ");
  if (percent === undefined) return `${name}: no figures of ready pods${beside === "" ? "" : ` (${beside})`}`;
  const over = `${pods} ${pods === 1 ? "pod" : "pods"}${beside === "" ? "" : ` (${beside})`}`;
  return `${name} is at ${percent} % of its request over ${over}, ${target} % is wanted`;
}
