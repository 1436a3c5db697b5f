import { expect, it } from "vitest";
import { bounds } from "../../services/agent/bounds.ts";
import { silent } from "../../services/kernel/log.ts";
import { podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

it("an agent that stops says nothing of an engine that it does not hear out", async () => {
  const said: string[] = [];
  const world = new PodsWorld();
  world.log = { ...silent, error: (message) => void said.push(message) };
  await world.start();
  await world.tell([podNamed("web-1", { containers: [{ name: "web", sim: { startDelay: "10s" } }] })]);
  const closed = world.close();
  await world.clock.advance(bounds.stopWaitMs);
  await closed;
  // The container is still being started: that is broken off.
  world.engine.powerCut();
  await world.clock.advance(20_000);
  expect(said).toEqual([]);
});
