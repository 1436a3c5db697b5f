// Fenced pods that run once: what has ended is not run again, what was stopped for want of a leader is.
import { beforeEach, describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import { sleep } from "../../services/kernel/clock.ts";
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

  it.each(["Never", "OnFailure"] as const)(
    "is run again that is stopped in the end by an engine that did not answer when it was asked, and a leader did (%s)",
    async (restartPolicy) => {
      grant();
      const pod = fenced({ restartPolicy, containers: [{ name: "web", sim: { ignoreStop: true } }] });
      await world.tell([pod]);
      await world.clock.advance(leaseMs + 1000);
      world.engine.down();
      await world.clock.advance(1500);
      expect([runs(), ...reason()]).toEqual([true, "backoff", "FENCED"]);
      grant();
      await world.clock.advance(500);
      world.engine.kill(world.of(key)[0]?.id ?? "", 0);
      world.engine.up();
      await answered(20);
      expect([runs(), ...outcome()]).toEqual([true, 2, "ready", "", 1]);
    },
  );

  it.each(["Never", "OnFailure"] as const)(
    "goes on without what had ended before it was stopped (%s)",
    async (policy) => {
      const containers = [
        { name: "first", sim: { exitAfter: "3s" } },
        { name: "second", sim: { exitAfter: "1h" } },
      ];
      grant();
      await world.tell([fenced({ restartPolicy: policy, containers })]);
      await world.clock.advance(leaseMs + 3000);
      expect([runs(), ...reason()]).toEqual([false, "backoff", "FENCED"]);
      for (let round = 1; round <= 2; round++) {
        await restart();
        await world.clock.advance(1000);
      }
      grant();
      await settle();
      await world.clock.advance(2000);
      expect(world.running(key).map(({ spec }) => spec.container.name)).toEqual(["second"]);
      expect([starts(), world.reports.get(key)?.observed.restarts]).toEqual([3, 1]);
    },
  );

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

  describe("that its agent stopped", () => {
    /** It exits like that when it is asked to stop. */
    const endsWith = (exitCode: number): void => {
      const ended = world.engine.ended.bind(world.engine);
      world.engine.ended = (container, code, oomKilled) => ended(container, code === 143 ? exitCode : code, oomKilled);
    };
    const shown = (): unknown[] => world.of(key).map(({ state, exitCode }) => [state, exitCode]);
    /** It was stopped; the agent ends and another begins, and then leaders answer. */
    const isRunAgain = async (exitCode: number): Promise<void> => {
      expect([...reason(), shown()]).toEqual(["backoff", "FENCED", [["exited", exitCode]]]);
      await restart();
      await world.clock.advance(1000);
      grant();
      await settle();
      await world.clock.advance(2000);
      expect([runs(), ...outcome()]).toEqual([true, 2, "ready", "", 1]);
    };

    it.each([0, 143])(
      "is run again, though the agent was killed once the engine was asked (exit code %s)",
      async (exitCode) => {
        endsWith(exitCode);
        grant();
        await world.tell([fenced({ restartPolicy: "Never" })]);
        await world.clock.advance(leaseMs - 500);
        let answer = (): void => {};
        world.inspecting = new Promise((resolve) => {
          answer = resolve;
        });
        await world.clock.advance(1500);
        // The journal has had time to say that its lease is over, and not yet to say more.
        const write = world.disk.writeAtomic.bind(world.disk);
        let isKilled = false;
        world.disk.writeAtomic = async (path, content) => {
          await sleep(world.clock, 100);
          if (!isKilled) await write(path, content);
        };
        answer();
        world.inspecting = null;
        await settle();
        for (let ms = 0; runs() && ms < 1000; ms += 10) await world.clock.advance(10);
        isKilled = true;
        await world.crash();
        world.disk.writeAtomic = write;
        await isRunAgain(exitCode);
      },
    );

    it.each([0, 143])("is run again, though the disk was full (exit code %s)", async (exitCode) => {
      endsWith(exitCode);
      grant();
      await world.tell([fenced({ restartPolicy: "Never" })]);
      await world.clock.advance(leaseMs - 500);
      world.disk.fail = true;
      await world.clock.advance(3500);
      await isRunAgain(exitCode);
    });

    it("is stopped in time by a disk that hangs", async () => {
      grant();
      await world.tell([fenced({ restartPolicy: "Never" })]);
      await world.clock.advance(leaseMs - 500);
      world.disk.writeAtomic = () => new Promise(() => {});
      await world.clock.advance(1500 + bounds.stopNoteMs);
      expect([runs(), ...reason()]).toEqual([false, "backoff", "FENCED"]);
    });

    it.each(["Never", "OnFailure"] as const)(
      "is run again, though a power cut met its next start (%s)",
      async (restartPolicy) => {
        endsWith(0);
        grant();
        await world.tell([fenced({ restartPolicy })]);
        await world.clock.advance(leaseMs + 3000);
        // The engine takes the start, and has not begun with it when the power goes.
        const delay = world.engine.delay.bind(world.engine);
        world.engine.delay = () => new Promise(() => {});
        grant();
        await settle();
        await world.clock.advance(100);
        expect(starts()).toBe(2);
        await world.crash();
        world.engine.delay = delay;
        await start();
        await world.clock.advance(1000);
        expect([runs(), world.reports.get(key)?.state]).toEqual([false, "starting"]);
        grant();
        await settle();
        await world.clock.advance(2000);
        expect([runs(), ...outcome()]).toEqual([true, 3, "ready", "", 1]);
      },
    );
  });
});
