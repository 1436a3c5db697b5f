// The log's stream is gone, and all others are there: nobody begins another cluster beside what is left of the first.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ensureStreams } from "../../services/bus/streams.ts";
import { bucketOrder, subjectsOf } from "../../services/bus/subjects.ts";
import { verifyState } from "../../services/controller/verify.ts";
import type { RunningProxy } from "../../services/proxy/main.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { runCli } from "../support/cli.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { ask, portOf, proxyOf, startPod, web } from "../support/proxy.ts";
import { workPorts } from "../support/snapshots.ts";

const { stream, snapshots, buckets } = subjectsOf("test");
const others = [snapshots, ...bucketOrder.map((name) => `KV_${buckets[name]}`)];

describeServers("a log that is gone alone", (binary) => {
  let world: RealWorld;
  let client: TestClient;
  let proxy: RunningProxy;
  let folder: string;
  let file: string;
  const cleanups: (() => Promise<unknown>)[] = [];
  const at = (): string[] => ["--server", world.server.url, "--cluster", "test"];
  const endpoints = () => client.bus.bucket(buckets.endpoints).load();
  const remove = (name: string): Promise<unknown> =>
    client.bus.request(`$JS.API.STREAM.DELETE.${name}`, undefined, { timeoutMs: 5000 });

  beforeEach(async () => {
    world = await openWorld(binary);
    folder = mkdtempSync(join(tmpdir(), "swain-lost-log-"));
    file = join(folder, "a.backup");
    client = new TestClient(await world.connect(), "test");
    const { controller } = await startTestController(world, "c1");
    await client.leader();
    const agent = await TestAgent.start(world, "n1");
    cleanups.push(() => agent.vanish());
    agent.hostPort = (await startPod("web-1")).port;
    await client.apply([workloadManifest("web"), serviceManifest("web")]);
    proxy = await proxyOf(world.server.url, { cluster: "test", services: web });
    await until("the proxy serves", async () => (await ask(portOf(proxy))) === "web-1");
    const made = await runCli(["backup", file, ...at()]);
    expect(made.code, made.stderr).toBe(0);
    await controller.stop();
  });
  afterEach(async () => {
    await proxy.stop();
    await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const ways: Record<string, () => Promise<unknown>> = {
    "its stream was deleted": () => remove(stream),
    "its files were lost": async () => {
      await world.server.stop();
      const found = readdirSync(world.server.folder, { recursive: true, encoding: "utf8" });
      const path = found.find((name) => name.endsWith(join("streams", stream)));
      rmSync(join(world.server.folder, path ?? "nowhere", "msgs"), { recursive: true });
      await world.server.start();
      await until("the server is back", () => client.bus.state() === "connected");
    },
  };
  it.each(Object.keys(ways))("is not begun anew when %s: endpoints stay, proxies serve", async (way) => {
    const before = await endpoints();
    expect(before.size).toBe(2);
    await ways[way]?.();
    const refused = await runCli(["controller", "--id", "c2", ...at()]);
    expect(refused.code).toBe(1);
    const why = /LOG_INCOMPLETE: the log \S+ is empty, but there is n1 of log \S+ in bucket .*swain restore/s;
    expect(refused.stderr).toMatch(why);
    expect(await endpoints()).toEqual(before);
    expect(await ask(portOf(proxy))).toBe("web-1");
    // One that begins meanwhile finds the same.
    const another = await proxyOf(world.server.url, { cluster: "test", services: web });
    await until("another proxy serves", async () => (await ask(portOf(another))) === "web-1");

    const restored = await runCli(["restore", file, ...at()]);
    expect(restored.code, restored.stderr).toBe(0);
    const { controller } = await startTestController(world, "c3");
    cleanups.push(() => controller.stop());
    await client.leader();
    expect((await verifyState(workPorts(client.bus, "test"))).differences).toEqual([]);
    expect(await ask(portOf(proxy))).toBe("web-1");
  });

  it("is begun anew once the rest is deleted, too", async () => {
    for (const name of [stream, ...others]) await remove(name);
    await ensureStreams(client.bus, "test", { replicas: 1 });
    const { controller } = await startTestController(world, "c2");
    cleanups.push(() => controller.stop());
    expect(await client.leader()).toBe("c2");
  });
});
