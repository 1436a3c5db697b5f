// When a new pod counts: a template change and a drain take an old pod out for it, so it must have shown that it works.
import type { ReadPod, ReadState } from "../model.ts";
import { mustShow } from "../readiness.ts";
import { limits } from "../../bus/limits.ts";
import { elapsedMs, type Hearing } from "../view.ts";

/**
 * A container that nothing checks passes for ready as soon as its program runs, also when it crashes at once. Programs that
 * cannot work, for a wrong argument or a missing setting, end well within this; every pod of a change waits for it.
 */
const unprovenMs = 2000;

/**
 * One that has ended and was started again passes its checks for a moment each time. It counts once it runs for as long as gives it its
 * restarts back (`agent/bounds.ts`); else a change would go on, and take an old pod out, with each of its starts.
 */
const unprovenAgainMs = 60_000;

/** A node that is silent for longer missed a heartbeat: that the pod ended may not have got through either. */
const silentMs = 1.5 * limits.heartbeatMs;

/** Milliseconds until a ready pod counts; 0 when it does. While nobody would hear that it ended it shows nothing. */
export function provenInMs(state: ReadState, pod: ReadPod, time: Hearing): number {
  const template = state.workloads.get(pod.workload)?.templates.get(pod.template);
  const isChecked = template?.spec.containers.every(mustShow) ?? true;
  const wantedMs = pod.restarts > 0 ? unprovenAgainMs : isChecked ? 0 : unprovenMs;
  if (wantedMs === 0) return 0;
  // Of a node that is known to be silent nothing came since its last heartbeat.
  const patienceMs = pod.unheard ? 0 : silentMs;
  const unheardMs = Math.max(0, (time.heardAgoMs.get(pod.node ?? "") ?? time.termAgeMs) - patienceMs);
  // How much of the time before this term its node was heard in is not known.
  const before = pod.since > time.before.time ? Infinity : time.termAgeMs;
  const left = Math.max(0, wantedMs - (Math.min(elapsedMs(pod.since, time), before) - unheardMs));
  // A silence passes for less than it is until it was looked into.
  const isUnclear = unheardMs > 0 && (left > 0 || !pod.unheard);
  return time.isDeaf || isUnclear ? Math.max(left, limits.heartbeatMs) : left;
}
