import { afterEach, beforeEach, expect, it } from "vitest";
import type { PodObject } from "../../schemas/generated/types.ts";
import { openLedger } from "../../services/controller/snapshot/open.ts";
import { makeSnapshot } from "../../services/controller/snapshot/work.ts";
import { verifyState } from "../../services/controller/verify.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import type { TestController } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";

describeServers("state verify", (binary) => {
  let world: RealWorld;
  let client: TestClient;
  let leader: TestController;
  let agent: TestAgent;

  beforeEach(async () => {
    world = await openWorld(binary);
    client = new TestClient(await world.connect(), world.cluster);
    leader = await startTestController(world, "c1");
    agent = await TestAgent.start(world, "n1");
    await until("the node", async () => (await client.list("node").catch(() => [])).length === 1);
    await client.apply([workloadManifest("web", { replicas: 3 }), serviceManifest("web")]);
    await until("three ready pods", async () => {
      const pods = await client.list<PodObject>("pod");
      return pods.length === 3 && pods.every(({ status }) => status.state === "ready");
    });
  });

  afterEach(async () => {
    await leader.controller.stop();
    await agent.vanish();
    await world.close();
  });

  const verify = async (): ReturnType<typeof verifyState> =>
    verifyState(workPorts(await world.connect(), world.cluster));

  it("finds fold and projections equal while the leader works, foreign records included", async () => {
    client.bus.publish(client.subjects.event("pod", "default", "web-1", "ready"), { not: "an event" });
    await client.bus.flush(1000);
    const scaling = client.ask("default", "workload", "scale", { operation: "scale-to-9", name: "web", replicas: 9 });
    const result = await verify();
    await scaling;
    expect(result.differences).toEqual([]);
    expect(result.foreign).toBe(1);
    expect(result.records).toBe(result.sequence);
    expect(result.keys).toBeGreaterThanOrEqual(9);
  });

  it("finds them equal while objects change faster than it looks", async () => {
    const verifying = new AbortController();
    const stopped = verifying.signal;
    const scaling = Array.from({ length: 8 }, async (_, writer) => {
      for (let turn = 0; !stopped.aborted; turn += 1) {
        const body = { operation: `turn-${writer}-${turn}`, name: "web", replicas: 3 + ((writer + turn) % 2) };
        await client.ask("default", "workload", "scale", body);
      }
    });
    const { differences } = await verify().finally(() => verifying.abort());
    await Promise.all(scaling);
    expect(differences).toEqual([]);
  });

  it("takes a snapshot for what it is that was made before templates had the id of their event, and no other", async () => {
    await leader.controller.stop();
    const ports = workPorts(await world.connect(), world.cluster);
    const { ledger } = await openLedger(ports, { onForeign: () => {}, onProblem: () => {} });
    const { sequence } = ledger.state;
    const lines = [...encodeState(ledger.state)].map((line) => line.replace(/"eventId":"[^"]*",/g, ""));
    await makeSnapshot(ports, { sequence, afresh: false, lines });
    expect((await verify()).snapshots.map(({ state }) => state)).toEqual(["equal"]);
    const others = lines.map((line) => line.replace('"replicas":3', '"replicas":4'));
    await makeSnapshot(ports, { sequence, afresh: true, lines: others });
    expect((await verify()).snapshots.map(({ state }) => state)).toEqual(["different"]);
  });

  it("finds a tampered, a missing and a stray key when no leader repairs them", async () => {
    expect((await verify()).differences).toEqual([]);
    await leader.controller.stop();
    const pods = client.bus.bucket(client.subjects.buckets.pods);
    const [tampered, missing] = (await pods.load()).values();
    if (tampered === undefined || missing === undefined) throw new Error("there are three pods");
    await pods.put(tampered.key, `${tampered.value} `, tampered.revision);
    await pods.remove(missing.key, missing.revision);
    await client.bus.bucket(client.subjects.buckets.nodes).put("ghost", "{}", 0);
    const { differences } = await verify();
    expect(differences.map(({ bucket, key, kind }) => `${bucket} ${key} ${kind}`).toSorted()).toEqual(
      ["nodes ghost stray", `pods ${missing.key} missing`, `pods ${tampered.key} different`].toSorted(),
    );
  });
});
