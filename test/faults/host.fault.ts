// A node on a host of its own whose cable is pulled: with the bus, the way from the proxy to its pods is gone.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { Host } from "./host.ts";
import { after, describeFaults, FaultWorld, harmless, nodes, replaced, seen } from "./world.ts";

describeFaults("a cluster with a host whose cable is pulled", suite);

function suite(server: ServerBinary): void {
  const node = nodes.at(-1) ?? "";
  let host: Host;
  let world: FaultWorld;

  beforeAll(async () => {
    host = new Host();
    world = await FaultWorld.open(server, { host });
  });
  afterAll(async () => {
    await world?.dispose();
    host?.dispose();
  });

  it("for 60 s", { timeout: 240_000 }, async () => {
    const promise =
      "Proxies go on with the pods of other nodes; its own are lost after 15 s and made anew there, and end when it is back.";
    const isFenced = world.fencedNode === node;
    const fault = "The cable of a node's host pulled for 60 s, lostAfter 15 s";
    const is = await world.run({ fault, promise }, async (run) => {
      run.keepChanging([7, 6], 5000);
      await run.onset();
      run.fault();
      host.pull();
      await after(60_000);
      host.plug();
      run.mended();
      await after(3000);
    });
    expect(is).toMatchObject({ ...harmless, unasked: 0, byFence: isFenced ? 1 : 0 });
    replaced(is);
    // Requests that were under way to its pods.
    expect(is.failed).toBeLessThan(10);
    seen(is, { silenceMs: 2500, convergedMs: 30_000 });
  });
}
