// A node half of whose packets are lost.
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes whose packets are lost", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has a node half of whose packets are lost", { timeout: 240_000 }, async () => {
    await world.apply({ lostAfter: "120s" });
    const promise = "Nothing is restarted and nothing is moved (lostAfter 120 s).";
    const is = await world.run({ fault: "Half of a node's packets lost for 20 s", promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      const { port } = world.relay(world.otherNode(run));
      run.fault();
      const mend = losing(port);
      try {
        await after(20_000);
      } finally {
        mend();
      }
      run.mended();
      await after(3000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 60_000 });
  });
}

/** Has the kernel drop every other packet to and from a port of loopback, at random; what it returns ends that. */
function losing(port: number): () => void {
  const rules = ["--dport", "--sport"].map((way) =>
    `INPUT -i lo -p tcp ${way} ${port} -m statistic --mode random --probability 0.5 -j DROP`.split(" "),
  );
  for (const rule of rules) execFileSync("iptables", ["-w", "-I", ...rule]);
  return () => {
    for (const rule of rules) execFileSync("iptables", ["-w", "-D", ...rule]);
  };
}
