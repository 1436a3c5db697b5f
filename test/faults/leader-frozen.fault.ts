// A leader that stands still for long and goes on.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes whose leader sleeps", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has its leader stand still for 30 s", { timeout: 180_000 }, async () => {
    const promise = "A standby leads; the old leader writes nothing and commands nothing when it goes on.";
    const is = await world.run({ fault: "Leader frozen for 30 s (SIGSTOP)", promise }, async (run) => {
      run.keepChanging(counts);
      const leader = await world.cluster.leader();
      await run.onset();
      run.fault();
      await world.freeze(leader, 30_000);
      run.mended();
      await after(5000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
  });
}
