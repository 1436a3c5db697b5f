// What the simulation says of a proxy that refuses clients of a service that has endpoints.
import { beforeEach, expect, it } from "vitest";
import { Clients, servedPorts } from "../simulation/clients.ts";
import type { Table } from "../simulation/tables.ts";
import { Troubles } from "../simulation/troubles.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

let now: number;
let troubles: Troubles;
let clients: Clients;
let said: string[];

const endpoint = {
  pod: "default/web-1",
  node: "n1",
  host: "h1",
  addresses: [{ name: "http", host: "10.0.2.1", hostPort: 20_000 }],
};
const ports = [{ port: 80, targetPort: "http" }];
const version = { namespace: "default", service: "web", logId: "log1", sequence: 7 };
const table = (revision: number, endpoints: readonly object[] = [endpoint]): Table => ({
  parts: [
    ["default.web.head", 3, { ...version, ports, shards: 1 }],
    ["default.web.0", revision, { ...version, endpoints }],
  ],
});
/** A client is refused so long after it came; what is said once the proxy has written what it knows. */
const refused = (afterMs: number, later = table(4)): string[] => {
  clients.onRefused("p1", "default/web", now - afterMs);
  now += 2000;
  clients.onTable("p1", later);
  return said.splice(0);
};
const blame = (): string[] => [
  `proxy p1 refused a client of default/web at ${now - 2000}, and asked none of its endpoints`,
];

beforeEach(() => {
  now = 100_000;
  troubles = new Troubles(() => now);
  said = [];
  clients = new Clients(
    () => now,
    troubles,
    (message) => said.push(message),
  );
  clients.onTable("p1", table(4));
});

it("is blamed, also while the bus is away or it is cut off from it", () => {
  expect(refused(1)).toEqual(blame());
  expect(refused(1000)).toEqual(blame());
  troubles.begin("bus", "busKill");
  troubles.begin("p1", "cut");
  expect(refused(1)).toEqual(blame());
});

it("is not where it knows no endpoint, or another than it had written yet", () => {
  expect(refused(1, table(5))).toEqual([]);
  clients.onTable("p1", table(4, []));
  expect(refused(1, table(4, []))).toEqual([]);
  clients.onTable("p1", table(4));
  clients.onRefused("p2", "default/web", now);
  expect(said).toEqual([]);
  clients.onRefused("p1", "default/web", now);
  clients.onTable("p1", undefined);
  expect(refused(1)).toEqual([]);
});

it("is not where an endpoint may have refused it, or could not be reached", () => {
  clients.onUntaken("p1");
  expect(refused(0)).toEqual([]);
  expect(refused(1)).toEqual(blame());
  expect(refused(1300)).toEqual([]);
});

it("is not where it does not run, or may not have written what it knew", () => {
  const over = troubles.begin("p1", "kill");
  expect(refused(1)).toEqual([]);
  over();
  expect(refused(1)).toEqual([]);
  now += 20_000;
  clients.onRefused("p1", "default/web", now);
  troubles.begin("bus", "everythingOff")();
  now += 2000;
  clients.onTable("p1", table(4));
  expect(said).toEqual([]);
});

it("is asked at rest for every service with endpoints", () => {
  const cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("web", { replicas: 1 }), serviceManifest("web"));
  expect([...servedPorts(cluster.state)]).toEqual([]);
  cluster.converge();
  expect([...servedPorts(cluster.state).keys()]).toEqual(["default/web"]);
});
