// What was told from the end of a log that was lost, and a pod that bears its name.
import { beforeEach, describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import type { Outcome } from "../../services/agent/prober.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { httpPort, podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";
import { SimAgent } from "../support/sim-agent.ts";
import { SimWorld } from "../support/sim-bus-world.ts";

let world: PodsWorld;
beforeEach(async () => {
  world = new PodsWorld();
  await world.start();
});

const key = "default/web-1";
describe("the containers of a pod", () => {
  it("make way for a pod that was given the name of one the log lost, each with its grace period", async () => {
    const lost = podNamed("web-1", {
      containers: [{ name: "web", sim: { ignoreStop: true } }],
      templateId: "a",
      stopGraceMs: 3000,
    });
    const pod = podNamed("web-1", { templateId: "b" });
    await world.tell([lost]);
    const ofLost = world.of(key);
    await world.tell([pod]);
    await world.clock.advance(2999);
    expect(world.running(key)).toEqual(ofLost);
    await world.clock.advance(2);
    expect(world.running(key).map(({ spec }) => [spec.templateId, spec.container.sim])).toEqual([["b", {}]]);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", templateId: "b" });
    expect(world.said.get(key)?.filter((state) => state === "ready")).toHaveLength(2);
  });

  it("make way for one also when they were on their way out already, or the agent began anew", async () => {
    const lost = podNamed("web-1", {
      containers: [{ name: "web", sim: { ignoreStop: true } }],
      templateId: "a",
      stopGraceMs: 3000,
    });
    await world.tell([lost]);
    await world.tell([]);
    await world.clock.advance(1000);
    await world.tell([podNamed("web-1", { templateId: "b" })], false);
    await world.crash();
    await world.start();
    await world.clock.advance(60_000);
    expect(world.running(key).map(({ spec }) => spec.templateId)).toEqual(["b"]);
    expect(world.of(key)).toHaveLength(1);
  });

  it("start again where the log has them again that had been told to stop, by the same number", async () => {
    const pod = podNamed("web-1", { templateId: "a" });
    await world.tell([{ ...pod, desired: "stop" }]);
    await world.tell([pod]);
    await world.clock.advance(1000);
    expect(world.state(key)).toBe("ready");
  });

  it("go on where the log has them again, or a leader or the container does not say of which template they are", async () => {
    const pod = podNamed("web-1");
    await world.tell([pod]);
    const [{ id } = { id: "" }] = world.of(key);
    // As leaders of two versions tell it.
    for (const one of [{ templateId: "a" }, {}, { templateId: "a" }]) await world.tell([{ ...pod, ...one }]);
    expect(world.running(key).map((one) => one.id)).toEqual([id]);
    await world.tell([{ ...pod, templateId: "b" }]);
    expect(world.running(key).map((one) => one.id)).not.toEqual([id]);
    await world.stopAll();
    expect(world.of(key)).toEqual([]);
  });
});

describe("a pod that is to run after all, since the log lost that it was told to stop", () => {
  const told = { stopGraceMs: 3000, containers: [{ name: "web", sim: { ignoreStop: true } }] };
  const stop = async (pod: AssignedPod, ms: number): Promise<void> => {
    await world.tell([{ ...pod, desired: "stop" }]);
    await world.clock.advance(ms);
  };
  const restart = async (): Promise<void> => {
    await world.crash();
    await world.start();
  };
  const starts = (): number => world.calls.filter(({ verb }) => verb === "start").length;
  const ways: Readonly<Record<string, (pod: AssignedPod) => Promise<void>>> = {
    "once it is gone": (pod) => stop(pod, 5000),
    "in its grace period": (pod) => stop(pod, 1000),
    "in its grace period, when it was not even placed any more": async () => {
      await world.tell([]);
      await world.clock.advance(1000);
    },
    "once it is gone and the agent began anew": async (pod) => {
      await stop(pod, 5000);
      await restart();
    },
    "in its grace period, in which the agent began anew": async (pod) => {
      await stop(pod, 1000);
      await restart();
    },
    "before the next agent sees it": async (pod) => {
      await stop(pod, 1000);
      await world.crash();
      world.engine.down();
      await world.start();
    },
    "after a stop to which the engine gave no answer": async (pod) => {
      await stop(pod, 1000);
      world.engine.down();
      await world.clock.advance(3000);
      world.engine.kill(world.of(key)[0]?.id ?? "", 0);
    },
  };

  for (const [when, way] of Object.entries(ways)) {
    it.each([
      ["Never", 0],
      ["Never", 143],
      ["OnFailure", 0],
      ["Always", 0],
    ] as const)(`is run again that is told so ${when} (%s, exit code %i)`, async (restartPolicy, exitCode) => {
      const ended = world.engine.ended.bind(world.engine);
      world.engine.ended = (container) => ended(container, exitCode, false);
      const pod = podNamed("web-1", { ...told, restartPolicy });
      await world.tell([pod]);
      await way(pod);
      await world.tell([pod]);
      world.engine.up();
      await world.clock.advance(60_000);
      expect([world.running(key).length, world.reports.get(key)]).toMatchObject([
        1,
        { state: "ready", observed: { reason: "" } },
      ]);
      expect(starts()).toBe(2);
    });
  }

  it.each([
    ["Never", 0, "stopped"],
    ["Never", 3, "failed"],
    ["OnFailure", 0, "stopped"],
  ] as const)(
    "is not run again where it had ended by itself, though nobody saw it before (%s, %i)",
    async (restartPolicy, exitCode, state) => {
      const pod = podNamed("web-1", { ...told, restartPolicy });
      await world.tell([pod]);
      world.engine.down();
      world.engine.kill(world.of(key)[0]?.id ?? "", exitCode);
      await stop(pod, 1000);
      world.engine.up();
      await world.clock.advance(5000);
      expect(world.of(key)).toEqual([]);
      await world.tell([pod]);
      await world.clock.advance(60_000);
      expect([starts(), world.reports.get(key)]).toMatchObject([1, { state, observed: { exitCode } }]);
    },
  );

  it.each([
    ["Never", true],
    ["Never", false],
    ["OnFailure", true],
    ["OnFailure", false],
  ] as const)("goes on without what of it had ended before (%s, seen: %s)", async (restartPolicy, isSeen) => {
    const containers = ["first", "second"].map((name) => ({ name, sim: {} }));
    const pod = podNamed("web-1", { restartPolicy, containers });
    await world.tell([pod]);
    if (!isSeen) world.engine.down();
    world.engine.kill(world.of(key)[0]?.id ?? "", 0);
    await world.clock.advance(100);
    await stop(pod, 100);
    world.engine.up();
    await world.clock.advance(5000);
    expect(world.of(key)).toEqual([]);
    await world.tell([pod]);
    await world.clock.advance(2000);
    expect(world.of(key).map(({ spec, state }) => [spec.container.name, state])).toEqual([["second", "running"]]);
  });

  it.each(["Never", "OnFailure"] as const)(
    "is run again that was just being started when its agent was killed (%s)",
    async (restartPolicy) => {
      const pod = podNamed("web-1", { restartPolicy, containers: [{ name: "web", sim: { startDelay: "300ms" } }] });
      await world.tell([pod]);
      await stop(pod, 0);
      await restart();
      await world.clock.advance(1000);
      expect(world.of(key)).toEqual([]);
      await world.tell([pod]);
      await world.clock.advance(1000);
      expect([world.state(key), starts()]).toEqual(["ready", 2]);
    },
  );
});

describe("a pod that was given the name of one the log lost", () => {
  const failing = podNamed("web-1", {
    templateId: "a",
    restartPolicy: "Never",
    containers: [{ name: "web", sim: { failPull: true } }],
  });
  const next = podNamed("web-1", { templateId: "b", restartPolicy: "Never" });
  const isReady = (): void => {
    expect(world.reports.get(key)).toMatchObject({ templateId: "b", state: "ready" });
    expect(world.running(key).map(({ spec }) => spec.templateId)).toEqual(["b"]);
  };

  it("has nothing of what the journal knew of that one", async () => {
    await world.tell([failing]);
    await world.clock.advance(1000);
    expect(world.state(key)).toBe("failed");
    await world.crash();
    world.engine.down();
    await world.start();
    await world.tell([next]);
    world.engine.up();
    await world.clock.advance(20_000);
    isReady();
  });

  it("nor when the agent ends before it wrote anything else", async () => {
    await world.tell([failing]);
    await world.clock.advance(1000);
    await world.tell([{ ...next, restartPolicy: "Always" }]);
    await world.crash();
    await world.start();
    await world.clock.advance(20_000);
    isReady();
  });

  it("does not start a container that the engine had made for that one without an answer", async () => {
    const make = world.engine.create.bind(world.engine);
    world.engine.create = (spec, owner) => {
      make(spec, owner);
      world.engine.down();
      world.engine.create = make;
      throw new SwainError("ENGINE_UNREACHABLE", "gone in the middle of the call");
    };
    await world.tell([podNamed("web-1", { templateId: "a" })]);
    await world.tell([next]);
    world.engine.up();
    await world.clock.advance(60_000);
    isReady();
  });

  it("is looked after once, also when a check of that one ends late", async () => {
    const late: ((outcome: Outcome) => void)[] = [];
    const check = (info: ContainerInfo): Promise<Outcome> => {
      if (info.templateId === "a") return new Promise((resolve) => late.push(resolve));
      return Promise.resolve({ ok: true, reached: true, why: "" });
    };
    await world.crash();
    world.prober = { rechecks: true, check };
    await world.start();
    const containers = [{ name: "web", sim: {}, ports: httpPort }];
    await world.tell([podNamed("web-1", { templateId: "a", containers })]);
    await world.tell([podNamed("web-1", { templateId: "b", containers })]);
    await world.clock.advance(500);
    isReady();
    const creates = world.calls.filter(({ verb }) => verb === "create").length;
    late[0]?.({ ok: false, reached: false, why: "no answer" });
    await world.clock.advance(500);
    expect(world.calls.filter(({ verb }) => verb === "create")).toHaveLength(creates);
    await world.close();
    await world.clock.advance(60_000);
    expect(world.clock.pending).toBe(0);
  });

  it("is not begun by an agent that stops while that one makes way", async () => {
    await world.tell([podNamed("web-1", { templateId: "a" })]);
    let release = (): void => {};
    const remove = world.engine.remove.bind(world.engine);
    world.engine.remove = (container) => {
      world.inspecting = new Promise((resolve) => {
        release = resolve;
      });
      remove(container);
    };
    await world.tell([next]);
    await world.clock.advance(500);
    const closing = world.close();
    release();
    await world.clock.advance(5000);
    await closing;
    expect(world.of(key)).toEqual([]);
  });
});

describe("an agent whose newest leader the log has lost", () => {
  let sim: SimWorld;
  let leader: TestLeader;
  let agent: SimAgent;

  beforeEach(async () => {
    sim = await SimWorld.open();
    agent = new SimAgent(sim);
    leader = new TestLeader((await sim.client()).bus, "test", "n1");
    Object.assign(leader, { epoch: 50, generation: 60, items: [podNamed("web-1")] });
    await agent.start();
    expect(agent.running).toEqual(["default/web-1"]);
    Object.assign(leader, { epoch: 40, generation: 45, items: [podNamed("web-2", { fence: { leaseMs: 10_000 } })] });
  });

  it("takes what an earlier one says as soon as that says so, and nothing of one that does not", async () => {
    const hint = { base: 45, items: [] };
    expect(await sim.time.until(leader.assign(hint))).toMatchObject({ held: 60 });
    await sim.time.pass(5000);
    expect(leader.leases).toMatchObject([{ epoch: 50, generation: 60 }]);
    await agent.start();
    expect(agent.running).toEqual(["default/web-1"]);
    leader.lost = 50;
    await sim.time.until(leader.assign(hint));
    await sim.time.pass(5000);
    expect(agent.running).toEqual(["default/web-2"]);
  });

  it("asks for it also when it is only to run a program, and says again what the log may have lost", async () => {
    leader.lost = 50;
    leader.items.push(podNamed("web-1"));
    leader.states.clear();
    const request = { session: "session-1", namespace: "default", name: "web-1", command: ["true"], epoch: 40 };
    const answer = await sim.time.until(leader.command("exec", request));
    expect(answer.json()).toMatchObject({ error: { code: "NO_LEADER" } });
    await sim.time.pass(bounds.repeatSpreadMs);
    expect(agent.running).toEqual(["default/web-1", "default/web-2"]);
    expect([...leader.states.keys()].toSorted()).toEqual(["default/web-1", "default/web-2"]);
  });

  it("says all again to one whose log has grown past what is held, which looks like the next thing told", async () => {
    Object.assign(leader, { lost: 50, generation: 70, items: [podNamed("web-1")] });
    leader.states.clear();
    await sim.time.until(leader.assign({ base: 70, items: [] }));
    await sim.time.pass(bounds.repeatSpreadMs + 2000);
    expect(leader.leases).toMatchObject([{ epoch: 50 }]);
    expect([...leader.states.keys()]).toEqual(["default/web-1"]);
    expect(agent.running).toEqual(["default/web-1"]);
  });
});
