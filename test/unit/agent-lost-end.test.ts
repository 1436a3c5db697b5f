// What was told from the end of a log that was lost, and a pod that bears its name.
import { beforeEach, describe, expect, it } from "vitest";
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
