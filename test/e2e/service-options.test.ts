// examples/service-options.yaml as a user deploys it, and what `swain proxy ls` tells about it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PodObject, ProxyBackend, ProxyObject } from "../../schemas/generated/types.ts";
import { Cluster, root, swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { KeptOpen, spread } from "../support/http.ts";
import { nodeProgramOf } from "../support/processes.ts";
import { describeServers } from "../support/nats.ts";

describeServers("examples/service-options.yaml", (natsServer) => {
  let cluster: Cluster;
  let port: number;
  let manifest: string;

  const apply = async (text: string): Promise<void> => {
    const applied = await swain(["apply", "-f", "-", "--wait", "--data", cluster.data], { input: text });
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  };
  const backends = async (): Promise<ProxyBackend[]> => {
    const { items } = JSON.parse(await cluster.ok("proxy", "ls", "-o", "json")) as { items: ProxyObject[] };
    const routes = items.flatMap(({ status }) => status.metrics?.routes ?? []);
    return routes.filter(({ service }) => service === "default/balanced").flatMap(({ backends }) => backends);
  };

  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 1 });
    port = await freePort();
    manifest = readFileSync(join(root, "examples/service-options.yaml"), "utf8").replaceAll("8084", String(port));
    await apply(manifest);
  });
  afterAll(() => cluster?.dispose());

  it("takes a ready pod out that fails the proxy's check, and tells so", async () => {
    await until("both are up", async () => (await backends()).filter(({ state }) => state === "up").length === 2);
    expect((await spread(port, 8)).size).toBe(2);
    const pod = (await cluster.pods())[0]?.metadata.name ?? "";
    process.kill(nodeProgramOf(pod), "SIGUSR2");
    await until("the other answers alone", async () => {
      const answers = await spread(port, 8);
      return answers.size === 1 && !answers.has(pod);
    });
    const told = await until("its state is told", async () => {
      return (await backends()).find(({ state }) => state === "down");
    });
    expect(told).toMatchObject({ pod: `default/${pod}`, message: "HTTP 503" });
    expect((await cluster.pods()).map(({ status }) => status.state)).toEqual(["ready", "ready"]);
    const wide = await cluster.ok("proxy", "ls", "-o", "wide");
    expect(wide).toMatch(new RegExp(`default/${pod} .* down .* HTTP 503`));
    expect(await cluster.ok("proxy", "ls")).toMatch(new RegExp(`default/balanced:${port} +127.0.0.1:${port} +1/2 `));
    expect(await cluster.ok("describe", "service/balanced")).toMatch(
      new RegExp(`Proxies:\\n(.*\\n)*.*default/${pod} .* down .* HTTP 503`),
    );
    process.kill(nodeProgramOf(pod), "SIGUSR2");
    await until("both answer again", async () => (await spread(port, 8)).size === 2);
  });

  it("follows a change of the service at once, and counts", async () => {
    await apply(manifest.replace(/balance: least-connections.*/, "sticky: source"));
    await until("one pod answers", async () => (await spread(port, 6)).size === 1);
    const own = [...(await spread(port, 20)).keys()][0];
    const told = await until("the counters are told", async () => {
      // Told at changes and in between: the last connection may be told as open still.
      const isSettled = ({ total, open, bytesOut }: ProxyBackend): boolean =>
        total >= 20 && open === 0 && bytesOut > 20 * 50;
      return (await backends()).find((backend) => backend.pod === `default/${own}` && isSettled(backend));
    });
    expect(told.bytesIn).toBeGreaterThan(20 * 50);
    expect(told.bytesOut).toBeGreaterThan(20 * 50);
  });

  it("goes to another workload, and what it left may be deleted in the same moment: open connections end first", async () => {
    // However slow the machine is, nothing but the proxy ends the connection.
    const patient = manifest
      .replace("createServer(", "createServer({ keepAliveTimeout: 60_000 }, ")
      .replace("replicas: 2", "replicas: 2\n  drainTimeout: 60s");
    await apply(patient);
    const green = manifest.replaceAll("name: balanced }", "name: green }");
    await apply(green.replace(/---\n[^]*/, ""));
    const open = new KeptOpen(port);
    const before = await open.ask();
    expect(before).toMatch(/^balanced-/);
    await apply(patient.replace("workload: balanced", "workload: green"));
    await cluster.ok("delete", "workload", "balanced");
    await until("the others answer alone", async () =>
      [...(await spread(port, 4)).keys()].every((pod) => pod.startsWith("green-")),
    );
    const left = async (): Promise<PodObject[]> =>
      (await cluster.pods()).filter(({ metadata }) => metadata.name.startsWith("balanced-"));
    // The other pod had no connection and goes at once.
    await until("the pod with the connection is left", async () => (await left()).length === 1);
    expect(await open.ask()).toBe(before);
    open.close();
    await until("it is gone too", async () => (await left()).length === 0, 5000);
  });
});
