// The node of a fenced pod that is cut off.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, describeFaults, FaultWorld, harmless, seen } from "./world.ts";

describeFaults("a cluster of processes with a fence", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has the node of a fenced pod cut off for 60 s", { timeout: 240_000 }, async () => {
    const promise = "The fenced pod is stopped there before it is started elsewhere: never two.";
    const is = await world.run(
      { fault: "The node of a fenced pod cut off for 60 s, lostAfter 10 s", promise },
      async (run) => {
        run.keepChanging([7, 6], 5000);
        await run.onset();
        const node = world.fencedNode;
        run.fault(world.programs(node));
        world.relay(node).cut();
        await after(60_000);
        world.relay(node).mend();
        run.mended();
        await after(3000);
      },
    );
    expect(is).toMatchObject({ ...harmless, unasked: 0, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });
}
