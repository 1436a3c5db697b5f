// What an agent says again because a leader asks for it.
import { expect, it } from "vitest";
import { TestLeader } from "../support/agent-leader.ts";
import { podNamed } from "../support/agent.ts";
import { SimAgent } from "../support/sim-agent.ts";
import { SimWorld } from "../support/sim-bus-world.ts";

it("is the state of every pod, whenever a command asks for it, and nothing when none does", async () => {
  const sim = await SimWorld.open();
  const agent = new SimAgent(sim);
  const leader = new TestLeader((await sim.client()).bus, "test", "n1");
  Object.assign(leader, { epoch: 40, generation: 45, items: [podNamed("web-1"), podNamed("web-2")] });
  await agent.start();
  const hint = { base: 45, items: [] };
  for (const [more, said] of [
    [{ resend: true }, ["default/web-1", "default/web-2"]],
    [{}, []],
    [{ resend: true }, ["default/web-1", "default/web-2"]],
  ] as const) {
    leader.states.clear();
    await sim.time.until(leader.assign({ ...hint, ...more }));
    await sim.time.pass(5000);
    expect([...leader.states.keys()].toSorted()).toEqual(said);
  }
});
