// Whether autoscalers make a workload smaller for what its pods really use: of one that no figures came of lately it is not known, and
// it counts as busy.
import type { AutoscaleMetric, AutoscalerScaled } from "../../schemas/generated/types.ts";
import { isOutside } from "../../services/core/autoscale/evaluate.ts";
import { keyOf, type State, type WorkloadRecord } from "../../services/core/model.ts";
import { isLive } from "../../services/core/transitions.ts";
import { parseJson } from "../../services/controller/record.ts";
import { controllerNames } from "./faults.ts";
import type { Troubles } from "./troubles.ts";

/** Figures are good for twenty seconds, and then on their way into the log … */
const freshMs = 25_000;
/** … where nothing kept them from being heard at once, or a leader from writing. */
const cleanMs = 45_000;
/** A node says them each five seconds. */
const mostSaid = 6;
/** Of what is computed with fractions. */
const blur = 1e-6;

interface Said {
  readonly at: number;
  readonly data: Uint8Array;
}

interface Figures {
  readonly namespace: string;
  readonly name: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

export class Scaling {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Node → what it published last, the latest first; few of it is ever read. */
  private readonly said = new Map<string, Said[]>();

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** Figures of a node came to the server. */
  onFigures(node: string, data: Uint8Array): void {
    const said = this.said.get(node) ?? [];
    this.said.set(node, said);
    if (said.unshift({ at: this.now(), data }) > mostSaid) said.pop();
  }

  /** An autoscaler changes a count. */
  onScaled({ workloads, pods, autoscalers }: State, item: AutoscalerScaled, sequence: number): void {
    const workload = workloads.get(keyOf(item.namespace, item.workload));
    const spec = autoscalers.get(keyOf(item.namespace, item.name))?.spec;
    if (item.replicas >= item.from || workload === undefined || spec === undefined) return;
    // A count that its bounds do not allow is brought back whatever is used.
    if (isOutside(item.from, spec)) return;
    if (!["bus", ...controllerNames].every((place) => this.troubles.isClean(place, cleanMs))) return;
    const wrong = (what: string): void => {
      const told = item.metrics.map(({ resource, use, pods: count }) => `${resource} ${use} of ${count}`).join(", ");
      const change = `${workload.name} goes from ${item.from} to ${item.replicas} replicas`;
      this.violate(`event ${sequence}: ${change} for ${told}, but ${what}`);
    };
    for (const metric of item.metrics) {
      const uses = this.usesOf(workload, pods, metric.resource);
      if (metric.pods > uses.length) return wrong(`figures came of ${uses.length} pods`);
      const least = uses.slice(0, metric.pods).reduce((sum, use) => sum + use, 0);
      if (metric.use < least) return wrong(`they use ${least} at least`);
      const wanted = Math.min(spec.maxReplicas, wantedOf(metric, item.from));
      if (item.replicas < wanted - blur) return wrong(`with the others busy it is to have ${wanted} at least`);
    }
  }

  /** The least that each of its ready pods said to use lately, the least first; of some nothing came. */
  private usesOf(workload: WorkloadRecord, pods: State["pods"], resource: AutoscaleMetric["resource"]): number[] {
    const field = resource === "cpu" ? "cpuMillis" : "memoryBytes";
    const found = [...workload.pods].flatMap((key) => {
      const pod = pods.get(key);
      if (pod === undefined || !isLive(pod) || pod.state !== "ready") return [];
      const fresh = (this.said.get(pod.node ?? "") ?? []).filter(({ at }) => this.now() - at <= freshMs);
      const figures = fresh.flatMap(({ data }) =>
        figuresIn(data).filter((one) => keyOf(one.namespace, one.name) === key),
      );
      return figures.length === 0 ? [] : [Math.min(...figures.map((one) => one[field]))];
    });
    return found.toSorted((a, b) => a - b);
  }
}

const figuresIn = (data: Uint8Array): readonly Figures[] =>
  (parseJson(data) as { readonly pods?: readonly Figures[] } | undefined)?.pods ?? [];

/** What the measured pods ask for, with all others at their request, or at what is wanted of them. */
function wantedOf({ use, request, target, pods }: AutoscaleMetric, replicas: number): number {
  const measured = Math.min(pods, replicas);
  const percent = request === 0 ? Infinity : (use * 100) / request;
  const wanted = (measured * percent + (replicas - measured) * Math.max(100, target)) / target;
  return Math.min(replicas, Math.ceil(wanted - blur));
}
