// An agent that stands still, and parts that are all gone at once.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, nodes, noticed, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes whose parts are gone", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has an agent stand still for 10 s", { timeout: 180_000 }, async () => {
    const promise = "Its programs run on and stay where they are.";
    const is = await world.run({ fault: "agent frozen for 10 s (SIGSTOP)", promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      // That of a fenced pod is another's run.
      const victim = `agent-${world.otherNode(run)}`;
      run.fault();
      await world.freeze(victim, 10_000);
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    noticed(is);
    seen(is, { silenceMs: 1000, convergedMs: 20_000 });
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
