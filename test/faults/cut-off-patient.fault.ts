// A node that is cut off for less than it is waited for.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { describeFaults, FaultWorld, noticed, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes that is patient", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has a node cut off for less than it waits", { timeout: 240_000 }, async () => {
    await world.apply({ lostAfter: "120s" });
    const promise = "Nothing is restarted and nothing is moved; agents and proxies keep serving.";
    const is = await world.run({ fault: "A node cut off for 60 s, lostAfter 120 s", promise }, (run) =>
      world.cutOff(run, () => world.otherNode(run)),
    );
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    noticed(is);
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });
}
