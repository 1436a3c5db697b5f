// Items about workloads.
import type {
  WorkloadApplied,
  WorkloadChanged,
  WorkloadHalted,
  WorkloadScaled,
  WorkloadSpec,
} from "../../../schemas/generated/types.ts";
import { type Key, keyOf, type Template, type WorkloadRecord } from "../model.ts";
import { limits } from "../../bus/limits.ts";
import { growShards } from "../endpoints.ts";
import { same } from "../same.ts";
import { sameTemplate, templateOf } from "../template.ts";
import { replicasChanged } from "./autoscaler.ts";
import { type FoldContext, touchPod, touchWorkload } from "./context.ts";

export function workloadApplied(context: FoldContext, item: WorkloadApplied): void {
  const { state, sequence } = context;
  const key = keyOf(item.namespace, item.name);
  const known = state.workloads.get(key);
  if (known === undefined) {
    const template = templateOf(item.spec, context, item.namespace);
    state.workloads.set(key, {
      namespace: item.namespace,
      name: item.name,
      labels: item.labels,
      spec: item.spec,
      generation: sequence,
      template,
      templates: new Map([[sequence, template]]),
      history: [{ generation: sequence, time: context.time, spec: item.spec }],
      pods: new Set(),
      formerServices: new Map(),
      deleting: false,
      halted: null,
      seq: sequence,
    });
  } else {
    if (!same(known.labels, item.labels)) touchPods(context, known);
    if (known.spec.replicas !== item.spec.replicas) replicasChanged(context, key);
    known.labels = item.labels;
    known.spec = item.spec;
    known.generation = sequence;
    known.deleting = false;
    known.halted = null;
    known.template = knownTemplate(known, item.spec) ?? templateOf(item.spec, context, item.namespace);
    known.templates.set(known.template.generation, known.template);
    keepInHistory(context, known);
    forgetTemplates(context, known);
  }
  context.touched.desired.add(key);
  touchWorkload(context, key);
  growShardsOf(context, key);
}

/** Pods show their workload's labels. */
function touchPods(context: FoldContext, workload: WorkloadRecord): void {
  for (const key of workload.pods) {
    const pod = context.state.pods.get(key);
    if (pod !== undefined) touchPod(context, pod);
  }
}

/** Going back to a template that pods still run makes those pods current again, instead of replacing them. */
function knownTemplate(workload: WorkloadRecord, spec: WorkloadSpec): Template | undefined {
  const candidates = [...workload.templates.values()].filter((template) => sameTemplate(template.spec, spec));
  return candidates.at(-1);
}

/** The current template goes to the end of the history; what was the same before goes, and what is too old. */
function keepInHistory({ time }: FoldContext, { history, template }: WorkloadRecord): void {
  if (history.at(-1)?.generation === template.generation) return;
  const others = history.filter(({ spec }) => !sameTemplate(spec, template.spec));
  const { generation, spec } = template;
  history.splice(0, history.length, ...others.slice(1 - limits.templates), { generation, time, spec });
}

/** Drops templates no pod uses, and none will be made from. */
export function forgetTemplates(context: FoldContext, workload: WorkloadRecord): void {
  if (workload.templates.size === 1) return;
  const used = new Set([workload.template.generation, workload.halted?.from]);
  for (const key of workload.pods) {
    const pod = context.state.pods.get(key);
    if (pod !== undefined) used.add(pod.template);
  }
  for (const generation of workload.templates.keys()) {
    if (!used.has(generation)) workload.templates.delete(generation);
  }
}

function growShardsOf({ state, sequence, touched }: FoldContext, key: Key): void {
  for (const serviceKey of state.servicesOf.get(key) ?? []) {
    const service = state.services.get(serviceKey);
    if (service !== undefined) growShards(state, service, sequence, touched);
  }
}

export function workloadScaled(context: FoldContext, item: WorkloadScaled): void {
  const key = keyOf(item.namespace, item.name);
  const workload = context.state.workloads.get(key);
  if (workload === undefined) return;
  if (workload.spec.replicas !== item.replicas) replicasChanged(context, key);
  workload.spec = { ...workload.spec, replicas: item.replicas };
  workload.generation = context.sequence;
  context.touched.desired.add(key);
  touchWorkload(context, key);
  growShardsOf(context, key);
}

export function workloadHalted(context: FoldContext, item: WorkloadHalted): void {
  const key = keyOf(item.namespace, item.name);
  const workload = context.state.workloads.get(key);
  if (workload === undefined) return;
  const { reason, message } = item;
  const { template } = workload;
  let from: number | null = null;
  for (const name of workload.pods) {
    const pod = context.state.pods.get(name);
    if (pod?.wasReady === true && pod.template !== template.generation) from = Math.max(from ?? 0, pod.template);
  }
  workload.halted = { reason, message, from };
  touchWorkload(context, key);
}

export function workloadChanged(context: FoldContext, item: WorkloadChanged): void {
  const key = keyOf(item.namespace, item.name);
  const workload = context.state.workloads.get(key);
  if (workload === undefined) return;
  if (item.verb === "deleted") {
    workload.deleting = true;
    workload.generation = context.sequence;
  } else {
    context.state.workloads.delete(key);
  }
  context.touched.desired.add(key);
  touchWorkload(context, key);
}
