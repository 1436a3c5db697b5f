// One metric of a workload: what its pods use, and how many replicas that asks for. The method is that of the Kubernetes
// HorizontalPodAutoscaler: replicas × (use / wanted use), and a pod without a figure is taken for idle when the others ask
// for more, for fully busy when they ask for less, so that it can never bring the count down.
import type { AutoscaleMetric } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { Code } from "../../kernel/errors.ts";
import type { ReadPod, ReadState, ReadWorkload } from "../model.ts";
import { isLive } from "../transitions.ts";
import { elapsedMs, type TermTime } from "../view.ts";

/** The last figures of a pod. */
export interface PodUse {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** Milliseconds since they came. */
  readonly ageMs: number;
}

/** The figures heard of a pod; null when there are none that are fresh. */
export type UseOf = (pod: ReadPod) => PodUse | null;

export type Resource = AutoscaleMetric["resource"];

/** A measurement covers the time since the one before it: only of a pod ready for that long it shows the load alone. */
const readyForMs = limits.metricsMs;

interface Sums {
  use: number;
  request: number;
  pods: number;
  missing: number;
}

/** Judges a metric for a workload of `replicas` (above 0). `tolerance` and `target` are percent. */
export function judgeMetric(
  state: ReadState,
  workload: ReadWorkload,
  useOf: UseOf,
  time: TermTime,
  wanted: { readonly resource: Resource; readonly target: number; readonly tolerance: number },
): AutoscaleMetric {
  const replicas = workload.spec.replicas ?? 1;
  const { resource, target, tolerance } = wanted;
  const { use, request, pods, missing } = sumsOf(state, workload, useOf, time, resource);
  const notReady = Math.max(0, replicas - pods - missing);
  const seen = { resource, target, use, request, pods, missing, notReady };
  if (workload.template.requests[field[resource]] === 0) {
    return { ...seen, reason: "NO_REQUEST" satisfies Code };
  }
  if (pods === 0) return { ...seen, reason: "METRICS_MISSING" satisfies Code };
  const percent = exact((use * 100) / request);
  const recommended = recommend({ replicas, percent, target, tolerance, pods });
  return { ...seen, percent: Math.round(percent), recommended, reason: "" };
}

const field = { cpu: "cpuMillis", memory: "memoryBytes" } as const;

function sumsOf(state: ReadState, workload: ReadWorkload, useOf: UseOf, time: TermTime, resource: Resource): Sums {
  const sums: Sums = { use: 0, request: 0, pods: 0, missing: 0 };
  for (const key of workload.pods) {
    const pod = state.pods.get(key);
    if (pod === undefined || !isLive(pod) || pod.state !== "ready") continue;
    // What a pod of an earlier template uses cannot be compared where that requested nothing.
    const request = workload.templates.get(pod.template)?.requests[field[resource]] ?? 0;
    const use = pod.unheard || request === 0 ? null : useOf(pod);
    if (use === null) sums.missing += 1;
    else if (elapsedMs(pod.since, time) - use.ageMs >= readyForMs) {
      sums.pods += 1;
      sums.use += use[field[resource]];
      sums.request += request;
    }
  }
  return sums;
}

/** Twelve digits are more than any figure has, and hide the error of binary fractions before rounding up. */
const exact = (value: number): number => Number(value.toPrecision(12));

function recommend(seen: {
  replicas: number;
  percent: number;
  target: number;
  tolerance: number;
  pods: number;
}): number {
  const { replicas, percent, target, tolerance } = seen;
  // During a template change there may be more pods than replicas.
  const measured = Math.min(seen.pods, replicas);
  const isUp = percent > target;
  const filler = isUp ? 0 : Math.max(100, target);
  const wanted = (measured * percent + (replicas - measured) * filler) / target;
  // With the others filled in it may be near enough, or point the other way: then there are as many as there should be.
  if (exact(Math.abs(wanted / replicas - 1) * 100) <= tolerance) return replicas;
  const count = Math.ceil(exact(wanted));
  return isUp ? Math.max(replicas, count) : Math.min(replicas, count);
}

/** Why a metric that is not within the tolerance asks for the replicas there are all the same; empty when it is or does not. */
export function whyKept(metric: AutoscaleMetric, replicas: number, tolerance: number): string {
  const { use, request, target, missing, notReady, recommended } = metric;
  if (recommended !== replicas) return "";
  const percent = exact((use * 100) / request);
  if (exact(Math.abs(percent / target - 1) * 100) <= tolerance) return "";
  if (missing + notReady > 0) return `pods without figures are taken for ${percent > target ? "idle" : "busy"}`;
  const fewer = replicas - 1;
  if (fewer === 0) return "there is no fewer than 1 replica";
  const after = Math.ceil(exact((percent * replicas) / fewer));
  return `with ${fewer} ${fewer === 1 ? "replica" : "replicas"} it would be at ${after} %`;
}
