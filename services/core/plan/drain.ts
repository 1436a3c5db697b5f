// Drain: when may a pod that left the endpoints be stopped? When every proxy that serves it has let go, or in time.
import type { EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { Code } from "../../kernel/errors.ts";
import { shardOf } from "../endpoints.ts";
import type { Key, ReadPod, ReadState } from "../model.ts";
import { parseDurationMs } from "../quantity.ts";
import { elapsedMs, type ProxyView, type View } from "../view.ts";

/** A new leader has heard every living proxy after two of their heartbeats and a little … */
const proxiesKnownMs = 2 * limits.heartbeatMs + 500;
/** … or once those are elsewhere whose server ended with the leader of before, which was silent for so long then. */
const proxiesBackMs = limits.proxyHeardMs - limits.leaderSilentMs;

export interface DrainStep {
  readonly items: readonly EventItem[];
  readonly wakeInMs: number | null;
}

export function drain(state: ReadState, view: View): DrainStep {
  const items: EventItem[] = [];
  let wakeInMs: number | null = null;
  for (const key of state.draining) {
    const pod = state.pods.get(key);
    if (pod === undefined || items.length >= limits.eventItems) continue;
    const verdict = judge(state, pod, view);
    if (typeof verdict === "number") wakeInMs = wakeInMs === null ? verdict : Math.min(wakeInMs, verdict);
    else items.push({ kind: "pod", verb: "drained", namespace: pod.namespace, name: pod.name, ...verdict });
  }
  return { items, wakeInMs };
}

type Verdict = { reason: Code; message: string };

/** Why the pod may be stopped now, or how many milliseconds it may still have to wait. */
function judge(state: ReadState, pod: ReadPod, view: View): Verdict | number {
  // Proxies that were not heard yet may carry connections.
  const knownMs = view.logReplicated ? proxiesBackMs : proxiesKnownMs;
  if (view.termAgeMs < knownMs) return knownMs - view.termAgeMs;
  // Proxies sent connections to it until the event was in the log.
  const elapsed = Math.min(elapsedMs(pod.since, view), view.lateAgoMs.get(pod.leftAt) ?? Infinity);
  const workload = state.workloads.get(pod.workload);
  const timeout = parseDurationMs(workload?.spec.drainTimeout ?? "10s");
  const heard = view.proxies.filter(isHeard);
  const behind = heard.filter((proxy) => !hasLetGo(state, pod, proxy));
  if (behind.length > 0) {
    // A deleted workload has no pods left that proxies would rather know: it does not wait for what takes no writes.
    const told = workload?.deleting === true ? elapsed : Math.min(elapsed, ...writtenAgo(state, pod, view));
    // Proxies that start one after the other hold nobody up for ever.
    const most = timeout + limits.proxyAckMs - told;
    const left = behind.map(({ reachableMs }) => limits.proxyAckMs - Math.min(told, reachableMs));
    const wait = Math.min(most, Math.max(...left));
    if (wait > 0) return wait;
  }
  // One proxy that does not let go ends no connections of those that did.
  const open = heard.reduce((sum, proxy) => sum + (proxy.open.get(pod.key) ?? 0), 0);
  if (open > 0 && elapsed < timeout) return timeout - elapsed;
  if (behind.length > 0) {
    const message = `Proxy ${behind[0]?.id} did not confirm within ${limits.proxyAckMs / 1000} s that it let go.`;
    return { reason: "PROXY_NOT_ACKED", message };
  }
  if (open === 0) return { reason: "DRAINED", message: "Every proxy has let go." };
  return {
    reason: "DRAINED",
    message: `${open} open connections are cut: the drain timeout of ${timeout / 1000} s is over.`,
  };
}

const isHeard = (proxy: ProxyView): boolean => proxy.heardAgoMs < limits.proxyHeardMs;

/** Milliseconds since each service that sends somebody to the pod, or did, was written, where that was late. */
function writtenAgo(state: ReadState, pod: ReadPod, view: View): number[] {
  const former = state.workloads.get(pod.workload)?.formerServices ?? new Map<Key, number>();
  const services = [...(state.servicesOf.get(pod.workload) ?? []), ...former.keys()];
  return services.map((service) => view.writtenAgoMs.get(service) ?? Infinity);
}

/** Whether the proxy sends nobody to the pod any more, neither for a service that names its workload nor for one that did. */
function hasLetGo(state: ReadState, pod: ReadPod, proxy: ProxyView): boolean {
  for (const service of state.servicesOf.get(pod.workload) ?? []) {
    const { shardCount = 1, shards, headSeq = 0 } = state.services.get(service) ?? {};
    const shard = String(shardOf(pod.key, shardCount));
    // Where shards were made anew since, it may have been in another one: with the new ones proxies know that it is in none.
    const isRemade = headSeq > pod.leftAt;
    // A pod that was not ready when it was stopped had left its shard before, and nothing told of it since.
    const leftAt = isRemade ? headSeq : Math.min(pod.leftAt, shards?.get(Number(shard))?.seq ?? pod.leftAt);
    if (!hasApplied(state, proxy, service, isRemade ? ["head", shard] : [shard], leftAt)) return false;
  }
  for (const [service, leftAt] of state.workloads.get(pod.workload)?.formerServices ?? []) {
    // Since then it may have another number of shards: the change that left the workload is in all of them.
    if (!hasApplied(state, proxy, service, [...(proxy.applied.get(service)?.keys() ?? [])], leftAt)) return false;
  }
  return true;
}

/**
 * Whether the proxy does not serve the service, or has applied the event to these parts of it. One that has applied what the
 * log does not have follows another log, or one that lost its end, and has not read what this one says.
 */
function hasApplied(state: ReadState, proxy: ProxyView, service: Key, parts: string[], event: number): boolean {
  const applied = proxy.applied.get(service);
  if (applied === undefined) return proxy.whole;
  return parts.every((part) => {
    const sequence = applied.get(part) ?? 0;
    return sequence >= event && sequence <= state.sequence;
  });
}
