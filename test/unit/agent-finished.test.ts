// What ran to its end, and is removed: together with its agent, as by `swain down`, or by somebody who removes what has ended.
import { beforeEach, describe, expect, it } from "vitest";
import { sleep } from "../../services/kernel/clock.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

const key = "default/task-1";

let world: PodsWorld;

beforeEach(async () => {
  world = new PodsWorld();
  await world.start();
});

it.each([
  ["Never", 0, "stopped"],
  ["Never", 3, "failed"],
  ["OnFailure", 0, "stopped"],
] as const)("is not run again by the next start of the agent (%s, %i)", async (restartPolicy, exitCode, state) => {
  const containers = [{ name: "main", sim: { exitAfter: "1s", exitCode } }];
  await world.tell([podNamed("task-1", { restartPolicy, containers }), podNamed("web-1")]);
  await world.clock.advance(2000);
  expect(world.state(key)).toBe(state);
  const said = world.reports.get(key);
  // Twice: the next one must know it, too.
  for (let round = 1; round <= 2; round++) {
    const stopping = world.stopAll();
    await world.clock.advance(1000);
    await stopping;
    await world.close();
    expect(world.engine.all()).toEqual([]);
    world.reports.clear();
    await world.start();
    await world.clock.advance(2000);
    expect(world.of(key)).toEqual([]);
    expect(world.reports.get(key)?.observed).toMatchObject({
      reason: said?.observed.reason,
      exitCode: said?.observed.exitCode,
    });
    expect(world.running("default/web-1")).toHaveLength(1);
  }
});

it("is not run again either where the agent is killed while it stops the others", async () => {
  const containers = [{ name: "main", sim: { exitAfter: "1s" } }];
  const slow = [{ name: "main", sim: { ignoreStop: true } }];
  await world.tell([
    podNamed("task-1", { restartPolicy: "Never", containers }),
    podNamed("web-1", { containers: slow, stopGraceMs: 5000 }),
  ]);
  await world.clock.advance(2000);
  void world.stopAll();
  await world.clock.advance(2000);
  expect([world.of(key), world.running("default/web-1").length]).toEqual([[], 1]);
  await world.crash();
  world.reports.clear();
  await world.start();
  await world.clock.advance(2000);
  expect([world.of(key), world.state(key)]).toEqual([[], "stopped"]);
});

it("is not run again either where it ended while the journal was written before the stop", async () => {
  const containers = [{ name: "main", sim: { exitAfter: "2100ms" } }];
  await world.tell([podNamed("task-1", { restartPolicy: "Never", containers })]);
  await world.clock.advance(2000);
  const write = world.disk.writeAtomic.bind(world.disk);
  world.disk.writeAtomic = async (path, content) => {
    await sleep(world.clock, 200);
    await write(path, content);
  };
  const stopping = world.stopAll();
  await world.clock.advance(2000);
  await stopping;
  await world.close();
  await world.start();
  await world.clock.advance(2000);
  expect([world.of(key), world.state(key)]).toEqual([[], "stopped"]);
});

it.each([
  ["Never", "first", 0, "stopped"],
  ["Never", "second", 0, "stopped"],
  ["Never", "second", 3, "failed"],
  ["OnFailure", "first", 0, "stopped"],
  ["OnFailure", "second", 0, "stopped"],
] as const)(
  "is not run again, nor are others stopped, where the engine is cleared of it while they run on (%s, %s, %i)",
  async (restartPolicy, name, exitCode, state) => {
    const containers = ["first", "second"].map((one) =>
      one === name
        ? { name: one, sim: { exitAfter: "1s", exitCode } }
        : { name: one, sim: { exitAfter: "1h", exitCode: 0 } },
    );
    await world.tell([podNamed("task-1", { restartPolicy, containers })]);
    await world.clock.advance(2000);
    const calls = world.calls.length;
    for (const container of world.of(key)) if (container.state !== "running") world.engine.remove(container);
    await world.clock.advance(60_000);
    await world.crash();
    await world.start();
    await world.clock.advance(60_000);
    expect(world.running(key)).toHaveLength(1);
    await world.clock.advance(3_600_000);
    expect([world.state(key), world.reports.get(key)?.observed]).toMatchObject([state, { exitCode, restarts: 0 }]);
    expect(world.calls.slice(calls)).toEqual([]);
  },
);

it.each([undefined, { leaseMs: 15_000 }])(
  "says that it failed for good only once nothing of it runs any more (fence: %o)",
  async (fence) => {
    const containers = [
      { name: "first", sim: { exitAfter: "1h", ignoreStop: true } },
      { name: "second", sim: { failStart: true } },
    ];
    world.lease = { ...world.lease, grantedAt: world.clock.mono() };
    await world.tell([
      podNamed("task-1", { restartPolicy: "Never", containers, stopGraceMs: 5000, ...(fence && { fence }) }),
    ]);
    await world.clock.advance(2000);
    expect(world.running(key)).toHaveLength(1);
    expect(world.reports.get(key)).toMatchObject({ state: "starting", observed: { reason: "COMMAND_NOT_FOUND" } });
    await world.clock.advance(4000);
    expect([world.running(key), world.state(key)]).toEqual([[], "failed"]);
    await world.clock.advance(600_000);
    expect([world.running(key), world.state(key)]).toEqual([[], "failed"]);
  },
);

describe("what runs, and is stopped together with its agent", () => {
  const cases = (["Never", "OnFailure", "Always"] as const).flatMap((restartPolicy) =>
    [0, 143].flatMap((exitCode) => [false, true].map((fenced) => ({ restartPolicy, exitCode, fenced }))),
  );
  const grant = (): void => {
    world.lease = { ...world.lease, grantedAt: world.clock.mono() };
    world.regained();
  };
  /** A task that exits like that when it is stopped, and another pod that ends first, so that the journal is written. */
  const begin = async ({ restartPolicy, exitCode, fenced }: (typeof cases)[number], sim: object): Promise<void> => {
    const ended = world.engine.ended.bind(world.engine);
    world.engine.ended = (container) => ended(container, exitCode, false);
    grant();
    const containers = [{ name: "main", sim }];
    const more = { restartPolicy, containers, stopGraceMs: 5000, ...(fenced ? { fence: { leaseMs: 15_000 } } : {}) };
    await world.tell([podNamed("task-1", more), podNamed("web-1")]);
    await world.clock.advance(2000);
  };
  /** The next start of the agent; leaders answer a moment later. */
  const runsAgain = async (): Promise<void> => {
    world.lease = { grantedAt: null, adoptedAt: world.clock.mono(), sleptAt: null };
    await world.start();
    await world.clock.advance(500);
    grant();
    await world.clock.advance(10_000);
    expect([world.running(key).length, world.reports.get(key)]).toMatchObject([
      1,
      { state: "ready", observed: { reason: "", restarts: 0 } },
    ]);
    expect(world.of(key)).toHaveLength(1);
  };

  it.each(cases)("is run again where the agent is killed before it was removed (%o)", async (one) => {
    await begin(one, {});
    const remove = world.engine.remove.bind(world.engine);
    world.engine.remove = (container) => {
      if (container.spec.pod === key) throw new SwainError("ENGINE_ERROR", "it cannot be removed now");
      remove(container);
    };
    void world.stopAll();
    await world.clock.advance(2000);
    expect(world.engine.all().map(({ spec, state }) => [spec.pod, state])).toEqual([[key, "exited"]]);
    await world.crash();
    world.engine.remove = remove;
    await runsAgain();
  });

  it.each(cases)("is run again where the agent is killed in its grace period (%o)", async (one) => {
    await begin(one, { ignoreStop: true });
    void world.stopAll();
    // The stop was asked for, and nothing was written since.
    await world.clock.advance(10);
    expect(world.engine.all().map(({ spec, state }) => [spec.pod, state])).toEqual([[key, "running"]]);
    await world.crash();
    await runsAgain();
  });

  it.each(cases)("is run again where it was just being started (%o)", async (one) => {
    await begin(one, { startDelay: "3s" });
    const remove = world.engine.remove.bind(world.engine);
    world.engine.remove = () => {
      throw new SwainError("ENGINE_ERROR", "it cannot be removed now");
    };
    void world.stopAll();
    await world.clock.advance(2000);
    expect(world.of(key).map(({ state }) => state)).toEqual(["exited"]);
    await world.crash();
    world.engine.remove = remove;
    await runsAgain();
  });

  it.each(cases)("is run again where all were removed (%o)", async (one) => {
    await begin(one, {});
    const stopping = world.stopAll();
    await world.clock.advance(1000);
    await stopping;
    await world.close();
    await world.clock.advance(1000);
    await runsAgain();
  });
});
