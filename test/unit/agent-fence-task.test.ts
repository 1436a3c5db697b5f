// Fenced pods that run once: what has ended is not run again, what was stopped for want of a leader is.
import { beforeEach, describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import { podNamed, settle } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

const leaseMs = 10_000;
const fenced = (more: Partial<AssignedPod> = {}): AssignedPod =>
  podNamed("task-1", { templateId: "a", fence: { leaseMs }, stopGraceMs: 2000, ...more });
const key = "default/task-1";

describe("a fenced task", () => {
  let world: PodsWorld;
  const grant = (): void => {
    world.lease = { ...world.lease, grantedAt: world.clock.mono() };
    world.regained();
  };
  const start = async (): Promise<void> => {
    world.lease = { grantedAt: null, adoptedAt: world.clock.mono(), sleptAt: null };
    await world.start();
  };
  const restart = async (): Promise<void> => {
    await world.crash();
    await start();
  };
  /** Leaders answer for so long. */
  const answered = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await world.clock.advance(1000);
      grant();
    }
  };
  const runs = (): boolean => world.running(key).length > 0;
  const reason = (): unknown[] => [world.reports.get(key)?.state, world.reports.get(key)?.observed.reason];

  beforeEach(async () => {
    world = new PodsWorld();
    world.heeds = true;
    await start();
  });

  const task = (restartPolicy: "Never" | "OnFailure"): AssignedPod =>
    fenced({ restartPolicy, containers: [{ name: "web", sim: { exitAfter: "7s" } }] });
  const starts = (): number => world.calls.filter(({ verb }) => verb === "start").length;
  const hasCompleted = [1, "stopped", "COMPLETED", 0];
  const outcome = (): unknown[] => [starts(), ...reason(), world.reports.get(key)?.observed.restarts];

  it.each(["Never", "OnFailure"] as const)(
    "is not run again that ended while its agent was away (%s)",
    async (policy) => {
      grant();
      await world.tell([task(policy)]);
      await world.clock.advance(4000);
      // The next agent lets it run on, and ends as well.
      await restart();
      await world.clock.advance(2000);
      expect(runs()).toBe(true);
      await world.crash();
      await world.clock.advance(3000);
      expect(world.of(key).map(({ state, exitCode }) => [state, exitCode])).toEqual([["exited", 0]]);
      await start();
      await world.clock.advance(1000);
      expect(outcome()).toEqual(hasCompleted);
      await answered(10);
      expect(outcome()).toEqual(hasCompleted);
    },
  );

  it.each(["Never", "OnFailure"] as const)(
    "is not run again that ended while its engine did not answer (%s)",
    async (policy) => {
      grant();
      await world.tell([task(policy)]);
      await world.clock.advance(4000);
      world.engine.down();
      await world.clock.advance(leaseMs);
      expect(reason()).toEqual(["backoff", "FENCED"]);
      world.engine.up();
      await world.clock.advance(15_000);
      expect(outcome()).toEqual(hasCompleted);
      await answered(10);
      expect(outcome()).toEqual(hasCompleted);
    },
  );

  it("is run again that was stopped, though its engine did not answer at first, whatever its exit code", async () => {
    grant();
    await world.tell([fenced({ restartPolicy: "Never" })]);
    world.engine.down();
    await world.clock.advance(leaseMs + 1000);
    expect([runs(), ...reason()]).toEqual([true, "backoff", "FENCED"]);
    world.engine.up();
    await world.clock.advance(bounds.fenceRetryMs + 100);
    expect(runs()).toBe(false);
    await restart();
    await world.clock.advance(1000);
    grant();
    await settle();
    expect([runs(), ...outcome()]).toEqual([true, 2, "ready", "", 1]);
  });

  it("is run again that an earlier agent was about to stop, whatever its exit code, and counts that once", async () => {
    grant();
    const pod = fenced({ restartPolicy: "Never", containers: [{ name: "web", sim: { ignoreStop: true } }] });
    await world.tell([pod]);
    await world.clock.advance(leaseMs + 1000);
    expect([runs(), ...reason()]).toEqual([true, "backoff", "FENCED"]);
    await world.crash();
    // It ends when the next agent looks at it before it stops it.
    const find = world.engine.find.bind(world.engine);
    world.engine.find = (id) => {
      world.engine.find = find;
      world.engine.kill(id, 0);
      return find(id);
    };
    await start();
    await world.clock.advance(1000);
    expect([runs(), ...reason()]).toEqual([false, "backoff", "FENCED"]);
    grant();
    await settle();
    expect([runs(), ...outcome()]).toEqual([true, 2, "ready", "", 1]);
  });
});
