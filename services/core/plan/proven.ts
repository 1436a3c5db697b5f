// When a new pod counts: a template change and a drain take an old pod out for it, so it must have shown that it works.
import type { ReadPod, ReadState } from "../model.ts";
import { mustShow } from "../readiness.ts";
import { elapsedMs, type TermTime } from "../view.ts";

/**
 * A container that nothing checks passes for ready as soon as its program runs, also when it crashes at once. Programs that
 * cannot work, for a wrong argument or a missing setting, end well within this; every pod of a change waits for it.
 */
const unprovenMs = 2000;

/** Milliseconds until a ready pod counts; 0 when it does. */
export function provenInMs(state: ReadState, pod: ReadPod, time: TermTime): number {
  const template = state.workloads.get(pod.workload)?.templates.get(pod.template);
  const isChecked = template?.spec.containers.every(mustShow) ?? true;
  return isChecked ? 0 : Math.max(0, unprovenMs - elapsedMs(pod.since, time));
}
