// The pod template of a workload: the part of its spec that a running pod cannot change.
import type { WorkloadSpec } from "../../schemas/generated/types.ts";
import { keyOf } from "./model.ts";
import type { Resources, Template } from "./model.ts";
import { parseCpuMillis, parseMemoryBytes } from "./quantity.ts";
import { same } from "./same.ts";

/**
 * What of a spec makes a pod: everything but the count and the rules for the whole workload. The node of a fenced pod is
 * told how long it may go on without a leader, so there lostAfter belongs to it.
 */
function templatePart(spec: WorkloadSpec): Partial<WorkloadSpec> {
  const { replicas: _r, placement: _p, onNodeLost: _o, drainTimeout: _d, progressDeadline: _g, ...more } = spec;
  const { lostAfter, fence, ...rest } = more;
  return fence === true ? { ...rest, fence, ...(lostAfter === undefined ? {} : { lostAfter }) } : rest;
}

/** True when pods of one spec need not be replaced to serve the other. */
export function sameTemplate(a: WorkloadSpec, b: WorkloadSpec): boolean {
  return same(templatePart(a), templatePart(b));
}

/** False only when it is known of both which event set the template, and it was not the same one. */
export function mayBeSameTemplate(a: string | undefined, b: string | undefined): boolean {
  return a === b || a === undefined || a === "" || b === undefined || b === "";
}

/** The spec with the template of another: what does not belong to the template stays. */
export function withTemplateOf(spec: WorkloadSpec, other: WorkloadSpec): WorkloadSpec {
  const { replicas, placement, lostAfter, onNodeLost, drainTimeout, progressDeadline } = spec;
  const kept = { replicas, placement, lostAfter, onNodeLost, drainTimeout, progressDeadline };
  const given = Object.entries(kept).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), ...templatePart(other) } as WorkloadSpec;
}

/** Sum of the requests of a pod's containers; a limit without a request counts as the request. */
function requestsOf(spec: WorkloadSpec): Resources {
  const total = { cpuMillis: 0, memoryBytes: 0 };
  for (const { resources } of spec.containers) {
    const cpu = resources?.requests?.cpu ?? resources?.limits?.cpu;
    const memory = resources?.requests?.memory ?? resources?.limits?.memory;
    if (cpu !== undefined) total.cpuMillis += parseCpuMillis(cpu);
    if (memory !== undefined) total.memoryBytes += parseMemoryBytes(memory);
  }
  return total;
}

/** The template of a spec in that namespace, set by the event of that sequence and id. */
export function templateOf(
  spec: WorkloadSpec,
  { sequence, eventId }: { readonly sequence: number; readonly eventId: string },
  namespace: string,
): Template {
  const onHost = spec.network?.mode === "host";
  const hostPorts = spec.containers.flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort, containerPort }) => hostPort ?? (onHost ? (containerPort ?? []) : [])),
  );
  const { mode, workload = "" } = spec.network ?? {};
  const networkOf = mode === "pod" ? keyOf(namespace, workload) : null;
  return { generation: sequence, eventId, spec, requests: requestsOf(spec), hostPorts, networkOf };
}
