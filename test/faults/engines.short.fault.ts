// Containers that end behind the agent's back, on Docker and on Podman.
import { afterAll, beforeAll, expect, it } from "vitest";
import { EngineProxy } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { containersOf } from "./containers.ts";
import { after, describeEngineFaults, FaultWorld, seen, untouched } from "./world.ts";

await describeEngineFaults("containers", suite);

function suite(engine: TestEngine): void {
  let world: FaultWorld;
  let way: EngineProxy;

  beforeAll(async () => {
    way = new EngineProxy(engine);
    await way.heal();
    world = await FaultWorld.open(engine.natsServer, { engine: { name: engine.name, socket: way.socket } });
  });
  afterAll(async () => {
    await way.heal();
    await world?.dispose();
    await way.close();
  });

  it("has containers killed and removed behind its back", { timeout: 120_000 }, async () => {
    const promise = "Each is made anew in place; nothing else is touched.";
    const fault = "One container killed, one removed behind the agent's back";
    const is = await world.run({ fault, promise }, async (run) => {
      run.keepChanging([7, 6], 1500);
      await run.onset();
      const found = await containersOf(world.cluster, engine, "tally");
      const [killed, removed] = run.victims([...found.keys()], 2).map((pod) => found.get(pod));
      if (killed === undefined || removed === undefined) throw new Error("there are no two containers");
      run.fault([killed.pid, removed.pid]);
      await engine.api.getContainer(killed.id).kill();
      await engine.api.getContainer(removed.id).remove({ force: true });
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 2500, convergedMs: 20_000 });
  });
}
