// Faults of every part of a cluster of plain processes, during changes and under load.
import { readFileSync } from "node:fs";
import { jetstream } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "nats";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import type { Chance } from "../simulation/chance.ts";
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
      const victims = world.someOf(run, 2);
      run.fault(victims);
      for (const pid of victims) process.kill(pid, "SIGKILL");
      run.mended();
      await after(1500);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 1500, convergedMs: 15_000 });
  });

  it("hears garbage", { timeout: 120_000 }, async () => {
    const promise = "What is no message of Swain's changes nothing.";
    const is = await world.run({ fault: "10,000 garbage messages, 500 of them in the log", promise }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      run.fault();
      await garbage(world, 10_000, run.plan.stream("garbage"));
      run.mended();
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
    expect((await world.cluster.run("state", "verify")).code).toBe(0);
  });
}

/** Publishes nonsense wherever a controller's credentials let it, its log included. */
async function garbage(world: FaultWorld, count: number, chance: Chance): Promise<void> {
  const seed = readFileSync(world.cluster.creds("controller"), "utf8").trim();
  const bus = await connect({
    servers: world.cluster.server,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
  });
  const bodies = ["", "{", "null", "[]", '{"items":[]}', "\u0000\u0001", '{"generation":1e99}', "x".repeat(5000)];
  const subjects = [
    ...nodes.flatMap((node) =>
      ["report", "sync", "lease", "heartbeat", "cmd.assign", "cmd.logs"].map((end) => `node.${node}.${end}`),
    ),
    "api.default.workload.scale",
    "api._.manifest.apply",
    "leader.beat",
    "leader.events",
    "feed.default.pod.web-1.failed",
  ];
  for (let index = 0; index < count - 500; index++) {
    bus.publish(`swain.default.${chance.pick(subjects)}`, chance.pick(bodies));
    if (index % 500 === 0) await bus.flush();
  }
  const js = jetstream(bus);
  for (let index = 0; index < 500; index++) {
    await js.publish("swain.default.event.workload.default.tally.applied", chance.pick(bodies)).catch(() => {});
  }
  await bus.close();
}
