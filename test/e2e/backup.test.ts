// The bus loses everything, and the cluster comes back from a file: same pods, same processes, no request lost meanwhile.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { load, spread } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { podProcesses } from "../support/pod-processes.ts";
import { describeServers } from "../support/nats.ts";

const name = `kept${process.pid}`;

describeServers("a cluster whose bus lost its data", (natsServer) => {
  let cluster: Cluster;
  let port: number;
  const names = async (): Promise<string[]> => (await cluster.pods()).map(({ metadata }) => metadata.name).toSorted();
  const processes = (pods: readonly string[]): unknown => pods.map((pod) => [pod, podProcesses(pod)]);

  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 2, controllers: 1 });
    port = await freePort();
    const applied = await cluster.apply([web(name), service(name, port)], "--wait");
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    await until("three answer", async () => (await spread(port, 6)).size === 3);
  });
  afterAll(() => cluster?.dispose());

  it("is restored from a backup while its pods and proxies go on", async () => {
    const file = join(cluster.data, "monday.backup");
    expect(await cluster.ok("backup", file)).toMatch(/\d+ records up to sequence \d+/);
    const kept = await names();
    const running = processes(kept);
    await cluster.ok("scale", `workload/${name}`, "--replicas", "5", "--wait");
    // By the thread of the controller's process.
    expect(await cluster.ok("state", "rebuild")).toMatch(/equal, byte for byte\nsnapshot of \d+: equal\n$/);
    const later = (await names()).filter((pod) => !kept.includes(pod));
    expect(later).toHaveLength(2);

    const traffic = load(port, 2);
    await cluster.kill("controller-1");
    await cluster.kill("nats-server");
    rmSync(join(cluster.data, "nats", "store"), { recursive: true });
    cluster.revive("nats-server");
    const creds = ["--creds", cluster.creds("controller")];
    await until("the server is back", async () => (await cluster.run("restore", file, ...creds)).code === 0);
    expect((await traffic.stop()).failed).toEqual([]);
    expect((await cluster.run("restore", file, ...creds)).stderr).toMatch(/LOG_NOT_EMPTY/);

    cluster.revive("controller-1");
    await until("it leads and all is ready", async () => {
      const { status } = await cluster.workload(name);
      return status.ready === 3 && status.phase === "steady";
    });
    await until("later pods are stopped", async () => later.every((pod) => podProcesses(pod).length === 0));
    expect(await names()).toEqual(kept);
    expect(processes(kept)).toEqual(running);
    expect((await cluster.pods()).every(({ status }) => status.restarts === 0 && status.state === "ready")).toBe(true);
    await until("three answer", async () => (await spread(port, 6)).size === 3);
    expect(await cluster.ok("state", "verify")).toMatch(/equal, byte for byte/);
    const logs = ["agent-node-1", "agent-node-2"].map((part) => cluster.log(part)).join("");
    for (const pod of later) expect(logs).toMatch(new RegExp(`RESTORED.*${pod}|${pod}.*RESTORED`));
    expect(await cluster.ok("get", "events", "-A")).toMatch(/restored\s+Restored up to sequence \d+/);

    // What is made from here on has names no pod ever had, and nodes follow the new log.
    await cluster.ok("scale", `workload/${name}`, "--replicas", "4", "--wait");
    const made = (await names()).find((pod) => !kept.includes(pod));
    expect(later).not.toContain(made);
    await until("four answer", async () => (await spread(port, 8)).size === 4);

    const args = ["--restore", file];
    const copy = await Cluster.up({ natsServer, runtime: "process", nodes: 2, args });
    try {
      expect(copy.printed).toMatch(/restored .*monday.backup: 3 pods; log \w+ goes on from \w+/);
      await until("all is ready", async () => (await copy.workload(name)).status.ready === 3);
      const again = await swain(["up", "--data", copy.data, ...args]);
      expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("ALREADY_RUNNING") as string });
    } finally {
      await copy.dispose();
    }
  });
});
