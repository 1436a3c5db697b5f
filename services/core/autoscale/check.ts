// The checker's rules about autoscalers (invariant 13): a count within the bounds, no change in the cooldown, nothing
// scaled down for want of figures, and the reason written beside the very change it explains.
import type { AutoscalerApplied, AutoscalerScaled, EventItem } from "../../../schemas/generated/types.ts";
import { keyOf, type ReadState } from "../model.ts";
import type { TermTime } from "../view.ts";
import { cooldownLeftMs, isOutside } from "./evaluate.ts";

interface Found {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

/** What the items would break. Without `time` cooldowns are not looked at. */
export function checkAutoscale(state: ReadState, items: readonly EventItem[], time: TermTime | undefined): Found[] {
  return items.flatMap((item, index) => {
    if (item.kind !== "autoscaler") return [];
    const found = item.verb === "applied" ? applied(state, items, item) : null;
    if (found !== null) return [{ index, ...found }];
    if (item.verb !== "scaled") return [];
    return scaled(state, items, item, time).map((violation) => ({ index, ...violation }));
  });
}

type Violation = Omit<Found, "index">;

/** Two autoscalers of one workload would undo each other's work; one of them may be moved by the same event. */
function applied(state: ReadState, items: readonly EventItem[], item: AutoscalerApplied): Violation | null {
  const { namespace, name, spec } = item;
  const key = keyOf(namespace, name);
  if (spec.minReplicas > spec.maxReplicas) {
    return { code: "BOUNDS_CROSSED", message: `autoscaler ${key} has its bounds the wrong way round` };
  }
  const others = items.filter(
    (other): other is AutoscalerApplied =>
      other.kind === "autoscaler" && other.verb === "applied" && keyOf(other.namespace, other.name) !== key,
  );
  const moved = new Set(others.map((other) => keyOf(other.namespace, other.name)));
  const owner = state.autoscalerOf.get(keyOf(namespace, spec.workload)) ?? key;
  const doubled =
    (owner !== key && !moved.has(owner)) ||
    others.some((other) => other.namespace === namespace && other.spec.workload === spec.workload);
  return doubled ? { code: "DOUBLED", message: `workload ${spec.workload} would have two autoscalers` } : null;
}

function scaled(
  state: ReadState,
  items: readonly EventItem[],
  item: AutoscalerScaled,
  time: TermTime | undefined,
): Violation[] {
  const key = keyOf(item.namespace, item.name);
  const autoscaler = state.autoscalers.get(key);
  if (autoscaler === undefined || autoscaler.spec.workload !== item.workload) {
    return [{ code: "UNKNOWN_AUTOSCALER", message: `autoscaler ${key} does not own workload ${item.workload}` }];
  }
  const { spec } = autoscaler;
  const found: Violation[] = [];
  const violate = (code: string, message: string): void =>
    void found.push({ code, message: `autoscaler ${key} ${message}` });
  const current = state.workloads.get(keyOf(item.namespace, item.workload))?.spec.replicas;
  const outside = isOutside(item.from, spec);
  if (current !== item.from) violate("STALE_SCALE", `goes from ${item.from} replicas, there are ${current ?? "none"}`);
  if (item.from === 0) violate("SCALED_FROM_ZERO", "would start what was scaled to 0 by hand");
  if (isOutside(item.replicas, spec)) violate("OUTSIDE_BOUNDS", `would make it ${item.replicas} replicas`);
  if (!outside && time !== undefined && cooldownLeftMs(autoscaler, time) > 0) {
    violate("IN_COOLDOWN", "would change the count in its cooldown");
  }
  const blind = item.metrics.some((metric) => metric.pods === 0);
  if (!outside && item.replicas < item.from && (blind || item.metrics.length === 0)) {
    violate("MISSING_METRICS", "would scale down without figures");
  }
  const beside = items.some(
    (other) =>
      other.kind === "workload" &&
      other.verb === "scaled" &&
      other.namespace === item.namespace &&
      other.name === item.workload &&
      other.replicas === item.replicas,
  );
  if (!beside) violate("SCALED_NOTHING", "explains a change that is not in the same event");
  return found;
}
