// What `describe autoscaler/N` tells: the last change and why, what is seen now, and why nothing is done about it.
import type { AutoscalerObject, AutoscaleMetric } from "../schemas/generated/types.ts";
import type { Client } from "./client.ts";
import { because } from "./output/rows.ts";
import { table } from "./output/table.ts";
import { ageText, cpuText, memoryText } from "./output/units.ts";

/** The autoscaler that owns a workload's replicas, as facts about the workload; none when it has none. */
export async function ownerFacts(client: Client, namespace: string, workload: string): Promise<[string, string][]> {
  const all = (await client.list(namespace, "autoscaler")) as unknown as AutoscalerObject[];
  return all
    .filter(({ spec }) => spec.workload === workload)
    .map(({ metadata, spec, status }) => [
      "Autoscaler",
      `${metadata.name}, ${spec.minReplicas} to ${spec.maxReplicas} replicas, ${status.now.reason}`,
    ]);
}

export function autoscalerFacts({ metadata, spec, status }: AutoscalerObject, now: number): [string, string][] {
  const { last } = status;
  const { replicas, recommended, desired, reason, message, cooldownUntil } = status.now;
  return [
    ["Autoscaler", `${metadata.namespace}/${metadata.name}`],
    ["Generation", String(metadata.generation ?? "")],
    ["Workload", spec.workload],
    ["Bounds", `${spec.minReplicas} to ${spec.maxReplicas} replicas`],
    ["Tolerance", `${spec.tolerance} %`],
    ["Scale up", `${stepText(spec.scaleUp)}, window ${spec.scaleUp?.window}`],
    ["Scale down", `${stepText(spec.scaleDown)}, window ${spec.scaleDown?.window}`],
    [
      "Cooldown",
      `${spec.cooldown}${cooldownUntil === undefined ? "" : `, ${ageText(cooldownUntil - now + 999)} left`}`,
    ],
    [
      "Replicas",
      replicas === undefined
        ? ""
        : `${replicas} now, ${recommended ?? "none"} asked for, ${desired ?? replicas} decided`,
    ],
    ["Now", because(reason, message)],
    [
      "Last change",
      last === undefined
        ? "none yet"
        : `${ageText(now - last.time)} ago from ${last.from} to ${last.replicas}: ${because(last.reason, last.message)}`,
    ],
  ];
}

function stepText(step: AutoscalerObject["spec"]["scaleUp"]): string {
  const percent = step?.percent === undefined ? [] : [`${step.percent} %`];
  const pods = step?.pods === undefined ? [] : [`${step.pods} ${step.pods === 1 ? "pod" : "pods"}`];
  return `at most ${[...percent, ...pods].join(" or ")} at once`;
}

export function metricSection({ status }: AutoscalerObject, color: boolean): string {
  const { metrics } = status.now;
  if (metrics.length === 0) return "";
  const headings = [
    "",
    "METRIC",
    "USE",
    "REQUEST",
    "PERCENT",
    "WANTED",
    "PODS",
    "MISSING",
    "NOT READY",
    "REPLICAS",
    "REASON",
  ];
  const rows = metrics.map((metric) =>
    [
      "",
      metric.resource,
      amount(metric, metric.use),
      amount(metric, metric.request),
      metric.percent === undefined ? "-" : `${metric.percent}%`,
      `${metric.target}%`,
      String(metric.pods),
      String(metric.missing),
      String(metric.notReady),
      String(metric.recommended ?? "-"),
      metric.reason,
    ].map((text) => ({ text })),
  );
  return `\nMetrics:\n${table(headings, rows, color)}`;
}

const amount = ({ resource, pods }: AutoscaleMetric, value: number): string =>
  pods === 0 ? "-" : resource === "cpu" ? cpuText(value) : memoryText(value);
