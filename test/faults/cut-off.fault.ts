// A node that is cut off for longer than it is waited for.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { describeFaults, FaultWorld, harmless, replaced, seen } from "./world.ts";

describeFaults("a cluster of processes with a lost node", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has a node cut off for 60 s", { timeout: 240_000 }, async () => {
    const promise =
      "Its pods are lost after 15 s and made anew elsewhere; its programs serve meanwhile and end when it is back.";
    const is = await world.run({ fault: "A node cut off for 60 s, lostAfter 15 s", promise }, (run) =>
      world.cutOff(run, () => world.otherNode(run)),
    );
    expect(is).toMatchObject({ ...harmless, unasked: 0, failed: 0 });
    replaced(is);
    expect(is.oldMs, "old copies serve until the node is back").toBeGreaterThan(0);
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });
}
