// Parts that stand still for a moment, and parts that are all gone at once.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, nodes, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes that stand still or are gone", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it.each([
    ["nats-server", 5000, "Programs and proxies go on; changes wait until it is back."],
    ["agent", 10_000, "Its programs run on and stay where they are."],
    ["proxy-1", 4000, "Connections wait for it; no program is touched."],
  ])("has its %s stand still for %s ms", { timeout: 180_000 }, async (part, ms, promise) => {
    const is = await world.run({ fault: `${part} frozen for ${ms / 1000} s (SIGSTOP)`, promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      // An agent that stood still for as long as a lease lasts stops its fenced pod: another's run.
      const victim = part === "agent" ? `agent-${world.otherNode(run)}` : part;
      run.fault();
      await world.freeze(victim, ms);
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: part === "proxy-1" ? ms + 1500 : 1000, convergedMs: 20_000 });
  });

  it("has its proxy killed", { timeout: 120_000 }, async () => {
    const promise = "Requests are refused until it is back; no program is touched.";
    const is = await world.run({ fault: "Proxy killed (kill -9), back after 2 s", promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      run.fault();
      await world.kill("proxy-1");
      await after(2000);
      world.revive("proxy-1");
      run.mended();
      await after(3000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 5000, convergedMs: 15_000 });
  });

  it("has everything but its programs killed at once", { timeout: 180_000 }, async () => {
    const promise = "Programs run on and are found again; nothing is lost.";
    const parts = ["nats-server", "controller-1", "controller-2", "proxy-1", ...nodes.map((node) => `agent-${node}`)];
    const is = await world.run(
      { fault: "All parts killed at once (kill -9), back after 3 s", promise },
      async (run) => {
        run.keepChanging(counts);
        await run.onset();
        run.fault();
        await Promise.all(parts.map((part) => world.kill(part)));
        await after(3000);
        for (const part of parts) world.revive(part);
        run.mended();
        await after(3000);
      },
    );
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 10_000, convergedMs: 30_000 });
  });
}
