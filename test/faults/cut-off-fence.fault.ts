// The node of a fenced pod that is cut off.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { describeFaults, FaultWorld, harmless, replaced, seen } from "./world.ts";

describeFaults("a cluster of processes with a fence", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has the node of a fenced pod cut off for 60 s", { timeout: 240_000 }, async () => {
    const promise =
      "Its agent stops the fenced pod when its lease of 10 s is over; another runs elsewhere 20.3 s after the node was last heard: never two.";
    const is = await world.run({ fault: "The node of a fenced pod cut off for 60 s, lostAfter 10 s", promise }, (run) =>
      world.cutOff(run, () => world.fencedNode),
    );
    expect(is).toMatchObject({ ...harmless, unasked: 0, failed: 0, byFence: 1 });
    // Asked for each second, so the last lease is up to a second old.
    const { fencedMs, fenceGapMs } = is;
    expect(fencedMs).toBeGreaterThan(8500);
    expect(fencedMs).toBeLessThan(10_500);
    // As long as decision 27 says: 1.02 · (10 s + 5 s + 2 s) + 3 s, since the last heartbeat, which is up to a second old.
    expect((fencedMs ?? 0) + (fenceGapMs ?? Infinity)).toBeGreaterThan(19_000);
    expect((fencedMs ?? 0) + (fenceGapMs ?? Infinity)).toBeLessThan(22_000);
    replaced(is);
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });
}
