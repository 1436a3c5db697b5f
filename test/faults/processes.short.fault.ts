// Faults of every part of a cluster of plain processes, during changes and under load.
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import type { ServerBinary } from "../support/nats.ts";
import { garbage } from "./garbage.ts";
import type { Heard } from "./garbage.ts";
import { after, counts, describeFaults, FaultWorld, nodes, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it("has its leader killed", { timeout: 120_000 }, async () => {
    const promise = "A standby leads within 5 s, and no program is touched.";
    const is = await world.run({ fault: "Leader killed (kill -9)", promise }, async (run) => {
      run.keepChanging(counts);
      const leader = await world.cluster.leader();
      await run.onset();
      run.fault();
      await world.kill(leader);
      await after(5000);
      world.revive(leader);
      run.mended();
    });
    expect(is).toMatchObject(untouched);
    expect(is.failed).toBe(0);
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
  });

  it("has its nats-server killed", { timeout: 120_000 }, async () => {
    const promise = "Programs and proxies go on; changes wait until it is back.";
    const is = await world.run({ fault: "nats-server killed (kill -9), back after 4 s", promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      run.fault();
      await world.kill("nats-server");
      await after(4000);
      world.revive("nats-server");
      run.mended();
      await after(3000);
    });
    expect(is).toMatchObject(untouched);
    expect(is.failed).toBe(0);
    seen(is, { silenceMs: 1000, convergedMs: 25_000 });
  });

  it("has an agent killed", { timeout: 120_000 }, async () => {
    const promise = "Its programs run on and are found again, none of them started twice.";
    const is = await world.run({ fault: "Agent killed (kill -9), back after 3 s", promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      const agent = `agent-${run.victim(nodes)}`;
      run.fault();
      await world.kill(agent);
      await after(3000);
      world.revive(agent);
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    expect(is.failed).toBe(0);
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
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

  it("has programs killed behind its back", { timeout: 120_000 }, async () => {
    const promise = "Each is started again in place.";
    const is = await world.run({ fault: "Two programs killed behind the agent's back", promise }, async (run) => {
      run.keepChanging([7, 6]);
      await run.onset();
      run.fault();
      world.killSome(run, 2);
      run.mended();
      await after(1500);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 1500, convergedMs: 15_000 });
  });

  it("hears garbage", { timeout: 120_000 }, async () => {
    const fault = "10,000 garbage messages, 500 of them in the log, 100 in the buckets";
    const promise = "What is no message of Swain's changes nothing: it is refused or counted, and no part ends.";
    const parts = world.cluster.children().map(({ name }) => name);
    const before = parts.map((part) => world.pid(part));
    let heard: Heard | undefined;
    const is = await world.run({ fault, promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      run.fault();
      heard = await garbage(world.cluster, nodes, 10_000, run.plan.stream("garbage"));
      run.mended();
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
    if (heard === undefined) throw new Error("nothing was said");
    const { asked, refused, taken, told, counted } = heard;
    console.log(JSON.stringify(heard));
    expect(taken).toEqual([]);
    expect(asked).toBeGreaterThan(3000);
    expect(refused).toBe(asked);
    expect(counted.dropped).toBeGreaterThanOrEqual(told.dropped);
    expect(counted.malformed).toBeGreaterThanOrEqual(told.malformed);
    expect(counted.foreign).toBeGreaterThanOrEqual(told.foreign);
    expect(parts.filter((part) => !world.isAlive(part))).toEqual([]);
    expect(parts.map((part) => world.pid(part))).toEqual(before);
    await until("what is stored is as it was", async () => (await world.cluster.ok("state", "verify")) !== "");
  });
}
