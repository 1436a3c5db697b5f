// Pods that run to their end: whatever becomes of agent, engine, machine, and of what has ended, nothing is run again that
// restartPolicy does not run again.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

const pods = [
  podNamed("never-1", {
    restartPolicy: "Never",
    containers: [
      { name: "a", sim: {} },
      { name: "b", sim: { startDelay: "300ms" } },
      { name: "c", sim: { pullDelay: "500ms", exitAfter: "10s", exitCode: 3 } },
    ],
  }),
  podNamed("never-2", { restartPolicy: "Never", containers: [{ name: "a", sim: { exitAfter: "3s" } }] }),
  podNamed("onfailure-3", {
    restartPolicy: "OnFailure",
    containers: [
      { name: "a", sim: { exitAfter: "2s" } },
      { name: "b", sim: {} },
    ],
  }),
  podNamed("onfailure-4", { restartPolicy: "OnFailure", containers: [{ name: "a", sim: {} }] }),
];

type Action =
  | { do: "advance"; ms: number }
  | { do: "kill"; pick: number; code: number }
  | { do: "steal"; pick: number }
  | { do: "prune" | "crash" | "down" | "up" | "power" | "sync" };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(10, 1000, 70_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("kill" as const), pick: fc.nat(), code: fc.constantFrom(0, 1) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("steal" as const), pick: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("prune", "crash", "down", "up", "power", "sync") }) },
);

/** What a container did since it ran for the first time, and what others of its pod did meanwhile. */
type Happened = "runs" | "ends" | "fails" | "another fails";

class Tasks {
  readonly world = new PodsWorld();
  /** Pod → container → what happened. */
  private readonly lives = new Map<string, Map<string, Happened[]>>();
  /** Broken rules, told when all is over: the agent takes what is thrown in between for words of the engine. */
  readonly broken: string[] = [];
  private isUp = true;

  constructor() {
    const { engine } = this.world;
    const run = engine.run.bind(engine);
    const ended = engine.ended.bind(engine);
    engine.run = (container) => {
      const wasRunning = container.state === "running";
      run(container);
      if (!wasRunning) this.onRun(container.spec.pod, container.spec.container.name);
    };
    engine.ended = (container, code, oomKilled) => {
      const { pod, container: own } = container.spec;
      if (code === 0) this.lifeOf(pod, own.name).push("ends");
      else this.fails(pod, own.name);
      ended(container, code, oomKilled);
    };
  }

  private lifeOf(pod: string, name: string): Happened[] {
    const lives = this.lives.get(pod) ?? new Map<string, Happened[]>();
    const life = lives.get(name) ?? [];
    this.lives.set(pod, lives.set(name, life));
    return life;
  }

  private fails(pod: string, name: string): void {
    for (const [other, life] of this.lives.get(pod) ?? []) life.push(other === name ? "fails" : "another fails");
  }

  private onRun(pod: string, name: string): void {
    const life = this.lifeOf(pod, name);
    const since = life.slice(life.lastIndexOf("runs") + 1);
    const isAgain = life.length > 0;
    const mayRun = pod.includes("onfailure") && since.some((what) => what !== "ends");
    life.push("runs");
    if (isAgain && !mayRun) this.broken.push(`${pod} ${name}: ${life.join(", ")}`);
  }

  async act(step: Action): Promise<void> {
    const { world } = this;
    const all = world.engine.all();
    const picked = "pick" in step ? all[step.pick % Math.max(1, all.length)] : undefined;
    switch (step.do) {
      case "advance":
        return world.clock.advance(step.ms);
      case "kill":
        if (picked !== undefined) world.engine.kill(picked.id, step.code);
        return;
      case "steal":
        if (picked?.state === "running") world.engine.remove(picked);
        return;
      case "prune":
        // What nobody has seen end may have failed.
        if (!this.isUp) return;
        await world.clock.advance(20_000);
        for (const container of world.engine.all()) if (container.state === "exited") world.engine.remove(container);
        return;
      case "crash":
        await world.crash();
        return world.start();
      case "power":
        return world.engine.powerCut();
      case "sync":
        return world.tell(pods, true);
      case "up":
      case "down":
        this.isUp = step.do === "up";
        return world.engine[step.do]();
    }
  }
}

describe("a pod that runs to its end", () => {
  it("is run again, as a whole or in part, by its restartPolicy alone", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 30 }), async (actions) => {
        const tasks = new Tasks();
        await tasks.world.start();
        await tasks.world.tell(pods);
        for (const each of actions) await tasks.act(each);
        tasks.world.engine.up();
        for (let minute = 0; minute < 5; minute++) await tasks.world.clock.advance(60_000);
        await tasks.world.crash();
        expect(tasks.broken).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
