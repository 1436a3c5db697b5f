// Parts that stand still for a moment.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes that stand still", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it.each([
    ["nats-server", 5000, "Programs and proxies go on; changes wait until it is back."],
    ["proxy-1", 4000, "Connections wait for it; no program is touched."],
  ])("has its %s stand still for %s ms", { timeout: 180_000 }, async (part, ms, promise) => {
    const is = await world.run({ fault: `${part} frozen for ${ms / 1000} s (SIGSTOP)`, promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      run.fault();
      await world.freeze(part, ms);
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: part === "proxy-1" ? ms + 1500 : 1000, convergedMs: 20_000 });
  });

  it("has the agent of a fenced pod stand still for longer than its lease", { timeout: 180_000 }, async () => {
    const fault = "Agent of a fenced pod frozen for 12 s (SIGSTOP), lostAfter 10 s";
    const promise = "It stops the fenced pod as soon as it wakes, and starts it again with the next lease: never two.";
    const is = await world.run({ fault, promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      const victim = `agent-${world.fencedNode}`;
      run.fault();
      await world.freeze(victim, 12_000);
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0, byFence: 1 });
    expect(is.fencedMs).toBeGreaterThan(12_000);
    expect(is.fencedMs).toBeLessThan(13_500);
    expect(is.fenceGapMs).toBeLessThan(10_000);
    seen(is, { silenceMs: 1000, convergedMs: 20_000 });
  });
}
