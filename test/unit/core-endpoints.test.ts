// What endpoints say of pods and external endpoints with many addresses, and that it fits a key.
import { describe, expect, it } from "vitest";
import type { PodAddress } from "../../schemas/generated/types.ts";
import { admitRegister } from "../../services/core/admit/endpoint.ts";
import { admitReport } from "../../services/core/admit/report.ts";
import { projection, projectionKeys } from "../../services/core/project.ts";
import { backendsOf } from "../../services/proxy/backends.ts";
import { EndpointTable } from "../../services/proxy/table.ts";
import type { Parts } from "../../services/proxy/table.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

/** What the endpoints bucket takes. */
const valueBytes = 512 * 1024;
const longest = "host-".padEnd(253, "x");

const service = (targets: (string | number)[], more: object = { selector: { workload: "web" } }): unknown => ({
  apiVersion: "swain/v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { ports: targets.map((targetPort, at) => ({ port: 100 + at, targetPort })), ...more },
});

const named = (count: number): string[] => Array.from({ length: count }, (_, at) => `port-number-${100 + at}`);

/** Ready pods with that many ports of their own, numbered from 8000 on. */
function serving(replicas: number, portCount: number, host: string, ...targets: (string | number)[]): TestCluster {
  const nodes = Array.from({ length: 4 }, (_, at) => [
    `n${at}`,
    { capacity: { cpuMillis: 1, memoryBytes: 1, pods: 1000 } },
  ]);
  const cluster = new TestCluster(Object.fromEntries(nodes));
  const ports = named(portCount).map((name, at) => ({ name, containerPort: 8000 + at }));
  cluster.apply(
    workloadManifest("web", { replicas, containers: [{ name: "main", image: "app:1", ports }] }),
    service(targets),
  );
  for (const pod of cluster.pods()) {
    const addresses = ports.map((port, at): PodAddress => {
      const { containerPort: localPort } = port;
      return { ...port, host, hostPort: 30_000 + at, local: "172.17.0.101", localPort };
    });
    const observed = { reason: "", message: "", restarts: 0, addresses };
    const report = { namespace: "default", name: pod.name, state: "ready", observed } as const;
    cluster.write("report", admitReport(cluster.state, pod.node ?? "", [report]));
  }
  return cluster;
}

/** What a proxy knows of the service. */
function partsOf({ state }: TestCluster): Parts {
  const table = new EndpointTable();
  const keys = projectionKeys(state, "endpoints");
  for (const key of keys) {
    const value = projection(state, "endpoints", key) ?? "";
    expect(Buffer.byteLength(value), key).toBeLessThanOrEqual(valueBytes);
    expect(table.put(key, JSON.parse(value), 1, "watch"), key).toBe("foreign");
  }
  table.loaded(new Set(keys), 0);
  return table.partsOf("default/web");
}

/** Per port of the service, the ports that proxies elsewhere connect to. */
function portsReached(parts: Parts): number[][] {
  const { ports = [] } = parts.get("head")?.head ?? {};
  return ports.map((port) => [...new Set(backendsOf(parts, port, "elsewhere").map((backend) => backend.port))]);
}

describe("the endpoints of a service", () => {
  it("name all addresses of a pod that has few", () => {
    const shard = partsOf(serving(1, 4, "10.0.0.1", 8002)).get("0")?.shard;
    expect(shard?.endpoints[0]?.addresses.map(({ name }) => name)).toEqual(named(4));
  });

  it("name of many only those that its ports ask for, by name or by number", () => {
    const cluster = serving(1, 64, "10.0.0.1", "port-number-163", 8005, "port-number-105");
    const parts = partsOf(cluster);
    expect(parts.get("0")?.shard?.endpoints[0]?.addresses.map(({ containerPort }) => containerPort)).toEqual([
      8005, 8063,
    ]);
    expect(portsReached(parts)).toEqual([[30_063], [30_005], [30_005]]);
    cluster.apply(service(["port-number-120"]));
    expect(portsReached(partsOf(cluster))).toEqual([[30_020]]);
  });

  it.each([
    { pods: 200, ports: 64, targets: 1 },
    { pods: 400, ports: 4, targets: 4 },
    { pods: 400, ports: 64, targets: 16 },
  ])("fit their keys: $pods pods with $ports ports, $targets of them served", ({ pods, ports, targets }) => {
    const parts = partsOf(serving(pods, ports, longest, ...named(targets)));
    const count = [...parts.values()].flatMap(({ shard }) => shard?.endpoints ?? []).length;
    expect(count).toBe(pods);
    expect(portsReached(parts)).toEqual(named(targets).map((_, at) => [30_000 + at]));
  });

  it("fit their keys with as many external endpoints and addresses as there may be", () => {
    const cluster = new TestCluster();
    const targets = named(16);
    cluster.apply(service(targets, {}));
    const addresses = targets.map((name) => ({ name, host: longest, port: 9000 }));
    for (let at = 0; at < 500; at++) {
      const name = `e${at}`.padEnd(63, "x");
      const request = { service: "web", name, addresses, ttl: "10s" };
      cluster.renewedAt.set(`default/web/${name}`, cluster.now);
      cluster.write("api", admitRegister(cluster.state, "default", request).items);
    }
    expect(partsOf(cluster).get("head")?.head?.shards).toBe(10);
    // An address that no port asks for any more is not told.
    cluster.apply(service(["port-number-103"], {}));
    const told = [...partsOf(cluster).values()].flatMap(({ shard }) => shard?.endpoints ?? []);
    expect(new Set(told.map((endpoint) => endpoint.addresses.length))).toEqual(new Set([1]));
  });

  it("answer a port by a name of digits that is no number of a port", () => {
    const cluster = new TestCluster();
    const targets = ["0", "70000", "8000", "007"];
    cluster.apply(service([...targets, 8000], {}));
    for (const [at, name] of targets.entries()) {
      const addresses = [{ name, host: "10.0.0.9", port: 9000 + at }];
      const request = { service: "web", name: `e${at}`, addresses, ttl: "10s" };
      cluster.renewedAt.set(`default/web/e${at}`, cluster.now);
      cluster.write("api", admitRegister(cluster.state, "default", request).items);
    }
    expect(portsReached(partsOf(cluster))).toEqual([[9000], [9001], [9002], [9003], [9002]]);
  });

  it.each([
    [190, 390],
    [390, 1000],
    [1000, 1001],
  ])("lose none on the way from %i to %i pods, wherever the leader dies that writes their shards", (from, to) => {
    const cluster = serving(from, 1, "10.0.0.1", 8000);
    const table = new EndpointTable();
    const keys = projectionKeys(cluster.state, "endpoints");
    const write = (key: string, revision: number): unknown =>
      table.put(key, JSON.parse(projection(cluster.state, "endpoints", key) ?? ""), revision, "watch");
    for (const [index, key] of keys.entries()) write(key, index + 1);
    table.loaded(new Set(keys), 0);
    const pods = (): number => {
      const parts = table.partsOf("default/web");
      return new Set(backendsOf(parts, parts.get("head")?.head?.ports[0], "elsewhere").map(({ pod }) => pod)).size;
    };
    expect(pods()).toBe(from);
    cluster.touched.endpoints.clear();
    cluster.apply(workloadManifest("web", { replicas: to }));
    const written = [...cluster.touched.endpoints];
    expect(written.length).toBeGreaterThan(keys.length);
    const seen = written.map((key, index) => (write(key, keys.length + index + 1), pods()));
    expect(new Set(seen)).toEqual(new Set([from]));
  });

  it("are in as many shards as before where the ports are few", () => {
    const shards = (replicas: number, ...targets: number[]): unknown =>
      partsOf(serving(replicas, 1, "10.0.0.1", ...targets)).get("head")?.head?.shards;
    expect([shards(200, 8000), shards(201, 8000), shards(200, 1, 2, 3, 4), shards(200, 1, 2, 3, 4, 5)]).toEqual([
      1, 2, 1, 2,
    ]);
  });
});
