import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import type { PodRecord } from "../../services/agent/pod/record.ts";
import { freshRecord } from "../../services/agent/pod/record.ts";
import { nextStep } from "../../services/agent/pod/step.ts";
import { bounds } from "../../services/agent/bounds.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { containerOf, httpPort, podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

const names = ["web-1", "web-2", "duo-3", "job-4"] as const;
type Name = (typeof names)[number];

const templates: Record<Name, AssignedPod> = {
  "web-1": podNamed("web-1", { containers: [{ name: "web", sim: { readyDelay: "300ms" }, ports: httpPort }] }),
  "web-2": podNamed("web-2", { containers: [{ name: "web", sim: { pullDelay: "1s", startDelay: "1s" } }] }),
  "duo-3": podNamed("duo-3", {
    containers: [
      { name: "web", sim: {}, ports: httpPort },
      { name: "side", sim: { startDelay: "200ms", ignoreStop: true } },
    ],
  }),
  "job-4": podNamed("job-4", { restartPolicy: "OnFailure" }),
};

type Action =
  | { do: "advance"; ms: number }
  | { do: "tell"; name: Name }
  | { do: "sync" | "down" | "up" | "crash" }
  | { do: "kill"; pick: number; code: number }
  | { do: "steal"; pick: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 20_000 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("tell" as const), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("sync", "down", "up", "crash") }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("kill" as const), pick: fc.nat(), code: fc.constantFrom(0, 1, 137) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("steal" as const), pick: fc.nat() }) },
);

/** A pod is told to run, then to stop, then forgotten; never back. */
type Phase = "unknown" | "run" | "stop" | "gone";
const following: Record<Phase, Phase> = { unknown: "run", run: "stop", stop: "gone", gone: "gone" };

class Story {
  readonly world = new PodsWorld();
  readonly phases = new Map<Name, Phase>(names.map((name) => [name, "unknown"]));

  async act(action: Action): Promise<void> {
    const { world } = this;
    const all = world.engine.all();
    switch (action.do) {
      case "advance":
        await world.clock.advance(action.ms);
        break;
      case "tell":
        this.phases.set(action.name, following[this.phases.get(action.name) ?? "unknown"]);
        await this.tell(false);
        break;
      case "sync":
        await this.tell(true);
        break;
      case "down":
        world.engine.down();
        break;
      case "up":
        world.engine.up();
        break;
      case "crash":
        await world.crash();
        await world.start();
        break;
      case "kill": {
        const container = all[action.pick % Math.max(1, all.length)];
        if (container !== undefined) world.engine.kill(container.id, action.code);
        break;
      }
      case "steal": {
        const container = all[action.pick % Math.max(1, all.length)];
        if (container !== undefined) world.engine.remove(container);
        break;
      }
    }
  }

  async tell(full: boolean): Promise<void> {
    const pods = names.flatMap((name): AssignedPod[] => {
      const phase = this.phases.get(name);
      if (phase === "run") return [templates[name]];
      return phase === "stop" ? [{ ...templates[name], desired: "stop", generation: 2 }] : [];
    });
    await this.world.tell(pods, full);
  }

  /** Holds at every moment. */
  checkAlways(): void {
    const places = this.world.engine.all().map(({ spec }) => `${spec.pod} ${spec.container.name}`);
    expect(places).toEqual([...new Set(places)]);
  }

  /** Holds when nothing was done to the node for long enough. */
  checkSettled(): void {
    for (const name of names) {
      const key = `default/${name}`;
      const wanted = templates[name].containers.length;
      const phase = this.phases.get(name);
      if (phase === "stop") expect(this.world.reports.get(key)?.state).toBe("stopped");
      if (phase !== "run") expect(this.world.of(key)).toEqual([]);
      else if (name !== "job-4") {
        expect(this.world.running(key)).toHaveLength(wanted);
        expect(this.world.reports.get(key)?.state).toBe("ready");
      } else if (this.world.state(key) === "stopped") expect(this.world.running(key)).toEqual([]);
      else expect([this.world.state(key), this.world.running(key).length]).toEqual(["ready", 1]);
    }
  }
}

describe("whatever happens to a node", () => {
  it("it comes to rest with exactly what it was told, never has a container twice, and at rest does nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 30 }), async (actions) => {
        const story = new Story();
        await story.world.start();
        for (const action of actions) {
          await story.act(action);
          story.checkAlways();
        }
        await story.act({ do: "up" });
        await story.tell(true);
        for (let minute = 0; minute < 5; minute += 1) {
          await story.world.clock.advance(60_000);
          story.checkAlways();
        }
        story.checkSettled();
        const calls = story.world.calls.length;
        const said = [...story.world.said.values()].flat().length;
        await story.world.clock.advance(3_600_000);
        expect(story.world.calls.slice(calls)).toEqual([]);
        expect([...story.world.said.values()].flat()).toHaveLength(said);
        await story.world.crash();
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

describe("a pod that keeps ending", () => {
  /** How long it runs each time, and how long it then waits. */
  const runs = fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 40 });

  const waits = (durations: readonly number[]): number[] => {
    const pod = podNamed("web-1");
    const running = containerOf(pod, "web");
    const ended: ContainerInfo = { ...running, state: "exited", exitCode: 1 };
    let record: PodRecord = { ...freshRecord, started: ["web"] };
    let now = 0;
    return durations.map((ms) => {
      record = nextStep({ pod, containers: [running], record, fence: null, now }).record;
      now += ms;
      const crash = nextStep({ pod, containers: [ended], record, fence: null, now });
      const until = crash.step.do === "wait" ? (crash.step.until ?? Infinity) : now;
      const wait = until - now;
      now = until;
      const again = nextStep({ pod, containers: [ended], record: crash.record, fence: null, now });
      expect(again.step.do).toBe("start");
      record = { ...again.record, started: ["web"] };
      return wait;
    });
  };

  it("waits no shorter than the time before, at most a minute, until it ran stably", () => {
    fc.assert(
      fc.property(runs, (durations) => {
        let before = 0;
        for (const [index, wait] of waits(durations).entries()) {
          expect(wait).toBeLessThanOrEqual(60_000);
          if ((durations[index] ?? 0) >= bounds.stableMs) expect(wait).toBe(0);
          else expect(wait).toBeGreaterThanOrEqual(before);
          before = wait;
        }
      }),
    );
  });

  it("is started at most sixteen times in its first ten minutes of short runs", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 60, maxLength: 60 }), (durations) => {
        let now = 0;
        let starts = 0;
        for (const [index, wait] of waits(durations).entries()) {
          now += (durations[index] ?? 0) + wait;
          if (now <= 600_000) starts += 1;
        }
        expect(starts).toBeLessThanOrEqual(16);
      }),
    );
  });
});
