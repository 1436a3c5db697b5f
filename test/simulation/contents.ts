// What containers run must be what their pods are of, not only bear the name: a log that lost its end may give a name again.
import { assignedPod } from "../../services/core/assignment.ts";
import { same } from "../../services/core/same.ts";
import type { World } from "./world/world.ts";

/** A pod that is called ready is of another template for no longer than this: a node may be cut off meanwhile, or paused. */
const lastsMs = 15_000;

export class Contents {
  /** Container → since when it is not what the log says. */
  private wrong = new Map<string, number>();

  /** To be called from time to time. */
  look({ agents, observer, timeline }: World): void {
    const wrong = new Map<string, number>();
    for (const { name, engine } of agents) {
      for (const { id, spec, state } of engine.all()) {
        const pod = observer.state.pods.get(spec.pod);
        if (state !== "running" || pod?.state !== "ready" || pod.node !== name) continue;
        const wanted = assignedPod(observer.state, spec.pod)?.containers.find(
          (one) => one.name === spec.container.name,
        );
        if (wanted !== undefined && same(wanted, spec.container)) continue;
        const key = `${name} ${id}`;
        const since = this.wrong.get(key) ?? timeline.now;
        if (timeline.now - since < lastsMs) wrong.set(key, since);
        else observer.violate("7", `pod ${spec.pod} on ${name} is ready, and runs what it is not of`);
      }
    }
    this.wrong = wrong;
  }
}
