// What was told from the end of a log that was lost, and a pod that bears its name.
import { beforeEach, describe, expect, it } from "vitest";
import { podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

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

  it("go on where the log has them again, or a leader or the container does not say of which template they are", async () => {
    const pod = podNamed("web-1");
    await world.tell([pod]);
    const [{ id } = { id: "" }] = world.of(key);
    await world.tell([{ ...pod, templateId: "a", generation: 2 }]);
    await world.tell([{ ...pod, generation: 3 }]);
    await world.tell([{ ...pod, templateId: "a", generation: 4 }]);
    expect(world.running(key).map((one) => one.id)).toEqual([id]);
    await world.tell([{ ...pod, templateId: "b", generation: 5 }]);
    expect(world.running(key).map((one) => one.id)).not.toEqual([id]);
    await world.stopAll();
    expect(world.of(key)).toEqual([]);
  });
});
