// What containers run, and what the log says of them, looked at from time to time: most of it may be otherwise for a while, as
// long as somebody is cut off or has to be told, but not for long where nothing is wrong.
import type { PodRecord, State, WorkloadRecord } from "../../services/core/model.ts";
import { mustShow } from "../../services/core/readiness.ts";
import { same } from "../../services/core/same.ts";
import { controllerNames } from "./faults.ts";
import type { SimContainer, SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import type { Troubles } from "./troubles.ts";
import type { World } from "./world/world.ts";

/** A pod that is called ready is of another template for no longer than this: a node may be cut off meanwhile, or paused. */
const lastsMs = 15_000;
/**
 * So long after the last trouble a node was told what to do, and did it: stops may take 5 s, a report 10 s to be sent again, and a
 * plan waits for the proxies 10 s.
 */
const settledMs = 30_000;

/** A node that holds an order which the log lost may be told of it 20 s later only (decision 28). */
const lostMs = 60_000;

export class Contents {
  /** What is wrong → since when. */
  private wrong = new Map<string, number>();

  /** To be called from time to time. */
  look(world: World): void {
    const { agents, observer, timeline, troubles } = world;
    const { state } = observer;
    const wrong = new Map<string, number>();
    /** True when it has been wrong for so long. */
    const lasts = (what: string, ms: number): boolean => {
      const since = this.wrong.get(what) ?? timeline.now;
      wrong.set(what, since);
      return timeline.now - since >= ms;
    };
    const isLed = ["bus", ...controllerNames].every((place) => troubles.isClean(place, settledMs));
    for (const { name, engine } of agents) {
      const isUndisturbed = isLed && observer.isKept(lostMs) && troubles.isClean(name, settledMs);
      for (const container of engine.all()) {
        const { spec } = container;
        if (container.state !== "running") continue;
        const pod = state.pods.get(spec.pod);
        if (isOther(state, pod, name, container) && lasts(`${name} ${container.id}`, lastsMs))
          observer.violate("7", `pod ${spec.pod} on ${name} is ready, and runs what it is not of`);
        if (isNeverReady(pod, name, engine, container) && isUndisturbed)
          observer.violate("7", `pod ${spec.pod} on ${name} is called ready, and never was`);
        if (!isWanted(pod, name) && lasts(`stray ${name} ${container.id}`, settledMs) && isUndisturbed)
          observer.violate("2", `node ${name} still runs ${spec.pod}, which is ${pod?.desired ?? "gone"} for long`);
      }
    }
    if (isLed) for (const what of this.unexplained(state, troubles, lasts)) observer.violate("4", what);
    this.wrong = wrong;
  }

  /** Slots that nobody fills, and pods that do not come up, without a word why. */
  private unexplained(state: State, troubles: Troubles, lasts: (what: string, ms: number) => boolean): string[] {
    const found: string[] = [];
    for (const workload of state.workloads.values()) {
      const filled = slotsFilled(state, workload);
      const { replicas = 1 } = workload.spec;
      if (!workload.deleting && filled < replicas && lasts(`slots ${workload.name}`, settledMs))
        found.push(`workload ${workload.name} has pods for ${filled} of ${replicas} slots, and none is made`);
    }
    for (const pod of state.pods.values()) {
      const isBack = pod.state === "lost" && state.nodes.get(pod.node ?? "")?.state === "ready";
      if (isBack && troubles.isClean(pod.node ?? "", settledMs) && lasts(`lost ${pod.key}`, settledMs))
        found.push(`pod ${pod.key} stays lost though ${pod.node} is back`);
      const isSilent = pod.state !== "ready" && pod.state !== "stopped" && pod.reason === "" && pod.message === "";
      if (!isSilent || pod.unheard || (pod.node !== null && !troubles.isClean(pod.node, settledMs))) continue;
      if (lasts(`silent ${pod.key} ${pod.state}`, settledMs))
        found.push(`pod ${pod.key} stays ${pod.state} and does not say why`);
    }
    return found;
  }
}

/** Ready in the log, but of another template than the container: a log that lost its end may give a name again. */
function isOther(state: State, pod: PodRecord | undefined, node: string, { spec }: SimContainer): boolean {
  if (pod?.state !== "ready" || pod.node !== node) return false;
  const template = state.workloads.get(pod.workload)?.templates.get(pod.template);
  const wanted = template?.spec.containers.find((one) => one.name === spec.container.name);
  return wanted === undefined || !same(wanted, spec.container);
}

/** Ready in the log, while the only run it ever had is not. */
const isNeverReady = (pod: PodRecord | undefined, node: string, engine: SimEngine, container: SimContainer): boolean =>
  pod?.state === "ready" &&
  pod.node === node &&
  pod.restarts === 0 &&
  container.runs === 1 &&
  mustShow(container.spec.container) &&
  !engine.isReady(container);

const isWanted = (pod: PodRecord | undefined, node: string): boolean =>
  pod !== undefined && pod.node === node && pod.desired !== "stop" && pod.state !== "lost";

/** Slots with a pod in them, if only one that is on its way out. */
const slotsFilled = ({ pods }: State, workload: WorkloadRecord): number =>
  new Set([...workload.pods].flatMap((key) => (pods.get(key)?.state === "lost" ? [] : [pods.get(key)?.slot]))).size;
