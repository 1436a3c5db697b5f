// Items about autoscalers.
import type { AutoscalerApplied, AutoscalerDeleted, AutoscalerScaled } from "../../../schemas/generated/types.ts";
import { type Key, keyOf } from "../model.ts";
import type { FoldContext } from "./context.ts";

export function autoscalerApplied(context: FoldContext, item: AutoscalerApplied): void {
  const { state, sequence, touched } = context;
  const { namespace, name, labels, spec } = item;
  const key = keyOf(namespace, name);
  const known = state.autoscalers.get(key);
  if (known !== undefined) release(context, key, keyOf(namespace, known.spec.workload));
  const moved = known?.spec.workload !== spec.workload;
  state.autoscalers.set(key, {
    namespace,
    name,
    labels,
    spec,
    generation: sequence,
    // What was done to another workload is no reason to wait with this one.
    changedAt: moved ? null : (known?.changedAt ?? null),
    last: moved ? null : (known?.last ?? null),
    seq: sequence,
  });
  state.autoscalerOf.set(keyOf(namespace, spec.workload), key);
  touched.autoscalers.add(key);
}

export function autoscalerDeleted(context: FoldContext, item: AutoscalerDeleted): void {
  const key = keyOf(item.namespace, item.name);
  const known = context.state.autoscalers.get(key);
  if (known === undefined) return;
  release(context, key, keyOf(known.namespace, known.spec.workload));
  context.state.autoscalers.delete(key);
  context.touched.autoscalers.add(key);
}

/** The workload itself is changed by the item beside this one. */
export function autoscalerScaled(context: FoldContext, item: AutoscalerScaled): void {
  const { state, sequence, time } = context;
  const autoscaler = state.autoscalers.get(keyOf(item.namespace, item.name));
  if (autoscaler === undefined) return;
  const { from, replicas, reason, message, metrics } = item;
  autoscaler.last = { time, sequence, from, replicas, reason, message, metrics };
  autoscaler.seq = sequence;
}

/** The workload has another count of replicas, by whomever: its autoscaler's cooldown begins. */
export function replicasChanged({ state, time }: FoldContext, workload: Key): void {
  const autoscaler = state.autoscalers.get(state.autoscalerOf.get(workload) ?? "");
  if (autoscaler !== undefined) autoscaler.changedAt = time;
}

function release({ state }: FoldContext, autoscaler: Key, workload: Key): void {
  if (state.autoscalerOf.get(workload) === autoscaler) state.autoscalerOf.delete(workload);
}
