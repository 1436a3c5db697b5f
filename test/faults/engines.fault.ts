// An engine that does not answer or is not there.
import { afterAll, beforeAll, expect, it } from "vitest";
import { EngineProxy } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { after, describeEngineFaults, FaultWorld, seen, untouched } from "./world.ts";

await describeEngineFaults("containers and their engine", suite);

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

  it.each([
    ["does not answer", async (): Promise<void> => way.freeze()],
    ["is not there", (): Promise<void> => way.cut()],
  ])("has an engine that %s for 10 s", { timeout: 180_000 }, async (what, breakIt) => {
    const promise = "Containers and proxies go on; changes are made when the engine is back.";
    const is = await world.run({ fault: `The engine ${what} for 10 s`, promise }, async (run) => {
      run.keepChanging([8, 5, 6], 1500);
      await run.onset();
      run.fault();
      await breakIt();
      await after(10_000);
      await way.cut();
      await way.heal();
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 1500, convergedMs: 60_000 });
  });
}
