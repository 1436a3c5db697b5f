// When the simulation says that the agent of a removed node was not told.
import { expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { Nodes } from "../simulation/nodes.ts";
import { Observer } from "../simulation/observer.ts";
import { Troubles } from "../simulation/troubles.ts";
import type { AgentProcess } from "../simulation/world/agent.ts";

it.each([
  [false, 6000],
  [true, 30_000],
])("gives it its time, and more where two agents run under one id (%s)", (isDoubled, ms) => {
  let now = 100_000;
  const troubles = new Troubles(() => now);
  const observer = new Observer(
    () => now,
    troubles,
    () => [],
  );
  const nodes = new Nodes(observer, troubles, () => now);
  const clone = { isUp: false } as AgentProcess;
  if (isDoubled) nodes.onClone("n1", clone, now);
  const removed = { kind: "node", verb: "removed", name: "n1", reason: "", message: "" };
  for (const look of observer.lookers) look(removed as EventItem, 7);
  const said = (): number => {
    nodes.look([]);
    return observer.violations.length;
  };
  now += ms - 1;
  expect(said()).toBe(0);
  now += 1;
  expect(said()).toBe(1);
});
