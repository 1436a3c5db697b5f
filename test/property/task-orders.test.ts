// Pods that run to their end, by orders that a log may lose: whatever they are told, and whatever becomes of agent and engine,
// nothing that the agent does to them is taken for their end, and nothing that has ended by itself runs again.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

const quick = { name: "a", sim: {} };
const slow = { name: "b", sim: { ignoreStop: true, startDelay: "300ms" } };
const pods = (["Never", "OnFailure"] as const).flatMap((restartPolicy) =>
  [[quick], [slow], [quick, slow]].flatMap((containers) =>
    [{}, { fence: { leaseMs: 10_000 } }].map((fence) => ({ restartPolicy, containers, stopGraceMs: 3000, ...fence })),
  ),
);
const items = pods.map((more, at) => podNamed(`task-${at + 1}`, more));

const actions = ["run", "stop", "crash", "leave", "cut", "down", "up", "grant", "end"] as const;
type Action = { do: (typeof actions)[number]; pick: number; ms: number };
const action: fc.Arbitrary<Action> = fc.record({
  do: fc.constantFrom(...actions),
  pick: fc.nat(items.length),
  ms: fc.constantFrom(0, 10, 100, 1000, 2500, 12_000),
});

class Orders {
  readonly world = new PodsWorld();
  readonly ended = new Set<string>();
  private readonly told = new Map<string, AssignedPod>(items.map((item) => [item.name, item]));
  private isUp = true;

  async begin(): Promise<void> {
    const { world } = this;
    world.heeds = true;
    const ended = world.engine.ended.bind(world.engine);
    // Some exit with 0 when they are stopped.
    world.engine.ended = (container, code) =>
      ended(container, code === 0 || container.id.length % 2 === 0 ? 0 : 143, false);
    await this.start();
    await this.tell();
  }

  async start(): Promise<void> {
    const { world } = this;
    world.lease = { grantedAt: null, adoptedAt: world.clock.mono(), sleptAt: null };
    await world.start();
  }

  tell(): Promise<void> {
    return this.world.tell([...this.told.values()]);
  }

  grant(): void {
    const { world } = this;
    world.lease = { ...world.lease, grantedAt: world.clock.mono() };
    world.regained();
  }

  /** Its program is done, and the agent has seen that. */
  private async end(name: string): Promise<void> {
    const { world } = this;
    this.grant();
    await world.clock.advance(4000);
    const key = `default/${name}`;
    if (this.told.get(name)?.desired !== "run" || world.state(key) !== "ready") return;
    for (const { id } of world.running(key)) world.engine.kill(id, 0);
    await world.clock.advance(20_000);
    this.ended.add(name);
  }

  async act({ do: what, pick, ms }: Action): Promise<void> {
    const { world, told } = this;
    // The last number picks all.
    const picked = items.filter((_, at) => at === pick || pick === items.length);
    for (const item of picked) {
      if (what === "run") told.set(item.name, item);
      if (what === "stop") told.set(item.name, { ...item, desired: "stop" });
    }
    if (what === "run" || what === "stop") await this.tell();
    if (what === "down" || what === "up") {
      this.isUp = what === "up";
      world.engine[what]();
    }
    if (what === "end" && this.isUp) for (const { name } of picked) await this.end(name);
    if (what === "grant") this.grant();
    if (what === "crash" || what === "cut") {
      // Killed in the midst of stopping all, too.
      if (what === "cut") world.stopAll().catch(() => {});
      await world.clock.advance(what === "cut" ? ms : 0);
      await world.crash();
      await this.start();
    }
    if (what === "leave") {
      const leaving = world.stopAll().catch(() => {});
      await world.clock.advance(60_000);
      await leaving;
      await world.crash();
      await this.start();
    }
    await world.clock.advance(ms);
  }
}

describe("a pod that runs to its end", () => {
  it("runs as it is told, and not again once it has ended, whatever it was told before and whatever became of agent and engine", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 20 }), async (steps) => {
        const orders = new Orders();
        const { world } = orders;
        await orders.begin();
        for (const step of steps) await orders.act(step);
        world.engine.up();
        for (const item of items) await orders.act({ do: "run", pick: items.indexOf(item), ms: 0 });
        for (let second = 0; second < 120; second++) {
          orders.grant();
          await world.clock.advance(1000);
        }
        const shown = items.map(({ name }) => [
          name,
          world.state(`default/${name}`),
          world.running(`default/${name}`).length,
        ]);
        const due = items.map(({ name, containers }) =>
          orders.ended.has(name) ? [name, "stopped", 0] : [name, "ready", containers.length],
        );
        expect(shown).toEqual(due);
        await world.crash();
      }),
      { numRuns: 60 },
    );
  }, 600_000);
});
