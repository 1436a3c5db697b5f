// Faults that last: they are part of the report, and too long for every run of the tests.
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeServers } from "../support/nats.ts";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, FaultWorld, harmless, nodes, seen, untouched } from "./world.ts";

describeServers("a cluster of processes", suite);

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
      await run.onset();
      const leader = await world.leader();
      run.fault();
      await world.freeze(leader, 30_000);
      run.mended();
      await after(5000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
  });

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

  it.each([["there" as const], ["back" as const]])(
    "has a node cut off one way, %s",
    { timeout: 180_000 },
    async (way) => {
      const what = way === "there" ? "is not heard, but hears" : "is heard, but does not hear";
      const promise = "Nothing is moved before lostAfter (15 s), and no program is touched.";
      const is = await world.run({ fault: `A node ${what} for 10 s`, promise }, async (run) => {
        run.keepChanging(counts);
        await run.onset();
        const node = world.otherNode(run);
        run.fault();
        world.relay(node).cut(way);
        await after(10_000);
        world.relay(node).mend();
        run.mended();
        await after(2000);
      });
      expect(is).toMatchObject({ ...untouched, failed: 0 });
      seen(is, { silenceMs: 1000, convergedMs: 30_000 });
    },
  );

  it("has a node cut off for 60 s", { timeout: 240_000 }, async () => {
    const promise =
      "Its pods are lost after 15 s and made anew elsewhere; its programs serve meanwhile and end when it is back.";
    const is = await world.run({ fault: "A node cut off for 60 s, lostAfter 15 s", promise }, async (run) => {
      run.keepChanging([7, 6], 5000);
      await run.onset();
      const node = world.otherNode(run);
      run.fault();
      world.relay(node).cut();
      await after(60_000);
      world.relay(node).mend();
      run.mended();
      await after(3000);
    });
    expect(is).toMatchObject({ ...harmless, unasked: 0, failed: 0 });
    expect(is.replaced).toBeGreaterThan(0);
    expect(is.givenUpMs).toBeGreaterThan(14_000);
    expect(is.givenUpMs).toBeLessThan(17_000);
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });

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

  it("has a node cut off for less than it waits", { timeout: 240_000 }, async () => {
    await world.apply({ lostAfter: "120s" });
    const promise = "Nothing is restarted and nothing is moved; agents and proxies keep serving.";
    const is = await world.run({ fault: "A node cut off for 60 s, lostAfter 120 s", promise }, async (run) => {
      run.keepChanging([7, 6], 5000);
      await run.onset();
      const node = world.otherNode(run);
      run.fault();
      world.relay(node).cut();
      await after(60_000);
      world.relay(node).mend();
      run.mended();
      await after(3000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });

  it("has a node half of whose packets are lost", { timeout: 240_000 }, async () => {
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
