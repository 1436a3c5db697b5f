// A node whose container engine goes away and comes back, behind a real leader: who says it, and where new pods go.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { NodeObject, PodObject } from "../../schemas/generated/types.ts";
import { startAgent } from "../../services/agent/main.ts";
import { startController } from "../../services/controller/main.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Running } from "../../services/kernel/running.ts";
import { swain, until } from "../support/cluster.ts";
import { clearClusters, describeEngine, EngineProxy, testImage as image, willClear } from "../support/docker.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

await describeEngine("an engine that goes away", (engine) => {
  let folder: string;
  let server: TestServer;
  let proxy: EngineProxy;
  const running: Running[] = [];

  const ok = async (args: readonly string[], input = ""): Promise<string> => {
    const { code, stdout, stderr } = await swain([...args, "--server", server.url, "--cluster", "test"], { input });
    expect(code, `swain ${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const list = async <T>(kind: string): Promise<T[]> =>
    (JSON.parse(await ok(["get", kind, "-o", "json"])) as { items: T[] }).items;
  const node = async (id: string): Promise<NodeObject | undefined> =>
    (await list<NodeObject>("nodes")).find(({ metadata }) => metadata.name === id);
  const pods = (): Promise<PodObject[]> => list("pods");
  const apply = (name: string, more: object): Promise<string> => {
    const spec = { ...more, stopGracePeriod: "0s", containers: [{ name: "main", image, command: ["sleep", "600"] }] };
    const manifest = { apiVersion: "swain/v1", kind: "Workload", metadata: { name }, spec };
    return ok(["apply", "-f", "-"], JSON.stringify(manifest));
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "swain-trouble-"));
    server = await startServer(anyServer());
    proxy = new EngineProxy(engine);
    await proxy.heal();
    const common = { server: server.url, cluster: "test", log: silent };
    running.push(await startController({ ...common, id: "controller-1" }));
    for (const [id, socket] of Object.entries({ n1: proxy.socket, n2: engine.socket })) {
      const options = { runtime: "docker", data: join(folder, id), advertise: "127.0.0.1", stopPods: true } as const;
      running.push(await startAgent({ ...common, ...options, id, engine: socket, labels: { id } }));
    }
    await until("both joined", async () => (await list("nodes")).length === 2);
    await apply("web", { replicas: 2 });
    await until("both run", async () => (await pods()).filter(({ status }) => status.state === "ready").length === 2);
    for (const { status } of await pods()) {
      const { Config } = await engine.api.getContainer(status.containers?.[0]?.id ?? "").inspect();
      willClear(Config.Labels["swain.cluster"] ?? "", engine);
    }
  });
  afterAll(async () => {
    await proxy?.heal();
    for (const part of running.toReversed()) await part.stop();
    await clearClusters();
    await proxy?.close();
    await server?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("is told, takes no new pods, keeps those it has, and is back at once", { timeout: 120_000 }, async () => {
    const before = await pods();
    expect(before.map(({ spec }) => spec.node ?? "").sort()).toEqual(["n1", "n2"]);
    // No pod needs the engine now: the agent finds out by itself.
    await proxy.cut();
    await until("n1 says so", async () => (await node("n1"))?.status.reason === "ENGINE_UNREACHABLE");
    expect(await node("n1")).toMatchObject({ status: { state: "ready", mode: "active" } });
    expect(await ok(["get", "nodes"])).toMatch(/^n1 +ready .*ENGINE_UNREACHABLE: /m);
    expect(await ok(["node", "ls"])).toMatch(/^n1 +ready .*ENGINE_UNREACHABLE: /m);
    const told = await ok(["describe", "node/n1"]);
    expect(told).toMatch(/^Reason: +ENGINE_UNREACHABLE: /m);
    expect(told).toContain("Start the container engine of the node");
    expect(await ok(["doctor"])).toMatch(/^warn +nodes +ENGINE_UNREACHABLE: 1 of 2: n1 \(ENGINE_UNREACHABLE: /m);

    await apply("web", { replicas: 4 });
    const added = async (): Promise<PodObject[]> =>
      (await pods()).filter(({ metadata }) => before.every((old) => old.metadata.name !== metadata.name));
    await until("the new ones run", async () => (await added()).every(({ status }) => status.state === "ready"));
    expect((await added()).map(({ spec }) => spec.node)).toEqual(["n2", "n2"]);
    expect((await pods()).filter(({ spec }) => spec.node === "n1").map(({ status }) => status.state)).toEqual([
      "ready",
    ]);

    await apply("solo", { replicas: 1, nodeSelector: { id: "n1" } });
    const waiting = async (): Promise<PodObject | undefined> =>
      (await pods()).find(({ spec: { workload } }) => workload === "solo");
    await until("it waits", async () => (await waiting())?.status.reason === "UNSCHEDULABLE");
    expect((await waiting())?.status.message).toMatch(/^No node fits \(0 of 2\): 1 whose engine does not answer, 1 /);

    await proxy.heal();
    await until("n1 is well", async () => (await node("n1"))?.status.reason === "");
    await until("what waited runs", async () => (await waiting())?.status.state === "ready");
    expect((await waiting())?.spec.node).toBe("n1");
    expect(await ok(["doctor"])).toMatch(/^ok +nodes +2 ready$/m);
  });
});
