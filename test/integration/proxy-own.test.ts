// A backend that is the proxy itself: real listeners, connections and names, and nothing may come back in.
import { networkInterfaces } from "node:os";
import { expect, it } from "vitest";
import { systemSockets, socketsOver } from "../../services/kernel/node/sockets.ts";
import { streamCarrier } from "../../services/kernel/node/sockets-streams.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { ProxyRoute } from "../../schemas/generated/types.ts";
import { anyServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";
import { ask, askMany, host, logInto, portOf, proxyOf, startCluster, startPod, until, web } from "../support/proxy.ts";
import type { Cluster } from "../support/proxy.ts";

type At = readonly [name: string, host: string, port: number];

/** Endpoints of a service, by name and address. */
async function endpoints(cluster: Cluster, service: string, all: readonly At[]): Promise<void> {
  await cluster.put(`default.${service}.0`, {
    logId: cluster.logId,
    sequence: Date.now(),
    endpoints: all.map(([name, at, hostPort]) => ({
      pod: `default/${name}`,
      node: "n1",
      host: "another-host",
      addresses: [{ name: "http", host: at, hostPort }],
    })),
  });
}

const routeOf = (cluster: Cluster, service: string): ProxyRoute | undefined =>
  cluster.metrics.at(-1)?.routes.find((route) => route.service === `default/${service}`);
const states = (cluster: Cluster, service: string): Record<string, string> =>
  Object.fromEntries(
    (routeOf(cluster, service)?.backends ?? []).map(({ pod, state, reason }) => [
      pod.slice(8),
      reason === undefined ? state : `${state} ${reason}`,
    ]),
  );
const barred = "down BACKEND_IS_PROXY";

it("never connects to a listener of its own, of this service or another, and serves the others", async () => {
  const cluster = await startCluster(anyServer());
  const [port, other, real] = [await freePort(), await freePort(), await startPod("real")];
  const lines: string[] = [];
  await cluster.head("web", port);
  await cluster.head("api", other);
  await endpoints(cluster, "web", [
    ["itself", host, port],
    ["mapped", `::ffff:${host}`, port],
    ["any", "0.0.0.0", port],
    ["across", host, other],
    ["real", host, real.port],
  ]);
  await endpoints(cluster, "api", [["across", host, port]]);
  await proxyOf(cluster.server.url, { all: {}, log: logInto(lines) });
  await until(async () => expect(await ask(port)).toBe("real"));
  expect(await askMany(port, 10)).toEqual({ real: 10 });
  expect(await askMany(other, 3)).toEqual({ closed: 3 });
  const expected = { itself: barred, mapped: barred, any: barred, across: barred, real: "up" };
  await until(() => expect(states(cluster, "web")).toEqual(expected));
  await until(() => expect(routeOf(cluster, "api")).toMatchObject({ total: 3, failed: 3 }));
  expect(states(cluster, "api")).toEqual({ across: barred });
  for (const { pod, total } of routeOf(cluster, "web")?.backends ?? [])
    expect([pod, total > 0]).toEqual([pod, pod === "default/real"]);
  expect(lines.join("\n")).toContain("BACKEND_IS_PROXY");
  // A listener that went is an address like any other.
  await cluster.remove("default.api.head");
  await until(() => expect(states(cluster, "web")).toMatchObject({ itself: barred, across: "up" }));
});

it.each(["0.0.0.0", "::"])("knows every address of this machine as its own when it listens on %s", async (all) => {
  const cluster = await startCluster(anyServer());
  const [port, real] = [await freePort(), await startPod("real")];
  const ours = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  const taken = ours.filter(({ family, scopeid }) => (family === "IPv4" || all === "::") && !scopeid);
  const own = [...new Set(["127.0.0.1", "127.9.9.9", ...taken.map(({ address }) => address)])];
  await cluster.head("web", port);
  await endpoints(cluster, "web", [
    ...own.map((address): At => [`own-${address}`, address, port]),
    ["real", host, real.port],
    ["elsewhere", "192.0.2.1", port],
  ]);
  await proxyOf(cluster.server.url, { all: { host: all } });
  const expected = Object.fromEntries(own.map((address) => [`own-${address}`, barred]));
  await until(() => expect(states(cluster, "web")).toEqual({ ...expected, real: "up", elsewhere: "up" }));
});

it("sees that a name leads to itself, before it connects, and does not let checks in either", async () => {
  const cluster = await startCluster(anyServer());
  const real = await startPod("real");
  await cluster.head("web", 8080);
  const proxy = await proxyOf(cluster.server.url, {
    services: [...web, { namespace: "default", name: "api", listen: `${host}:0` }],
  });
  const [port = 0, api = 0] = proxy.listening().map((one) => one.port);
  const check = { interval: "100ms", fall: 1 };
  await endpoints(cluster, "web", [
    ["named", "localhost", port],
    ["real", host, real.port],
  ]);
  await until(async () => expect(await ask(portOf(proxy))).toBe("real"));
  expect(await askMany(port, 6)).toEqual({ real: 6 });
  await until(() => expect(states(cluster, "web")).toEqual({ named: barred, real: "up" }));
  const before = routeOf(cluster, "web")?.total ?? 0;
  for (const type of ["tcp", "http"] as const) {
    await cluster.head("api", 8081, 1, { check: { type, ...check } });
    await endpoints(cluster, "api", [["named", "localhost", port]]);
    await until(() =>
      expect(routeOf(cluster, "api")?.backends[0]).toMatchObject({
        state: "down",
        message: expect.stringContaining("this proxy itself") as string,
      }),
    );
  }
  expect(await ask(api)).toBe("closed");
  await until(() => expect(routeOf(cluster, "api")).toMatchObject({ total: 1, failed: 1 }));
  expect(routeOf(cluster, "web")?.total).toBe(before);
});

it.each([
  ["handles", systemSockets],
  ["streams", socketsOver(streamCarrier)],
] as const)("over %s a refused address is never connected to, by number or by name", async (_, sockets) => {
  let connects = 0;
  const listener = await sockets.listen(host, 0, () => (connects += 1));
  const refuse = (address: string): SwainError => new SwainError("BACKEND_IS_PROXY", address);
  const request = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");
  try {
    for (const name of [host, "localhost"]) {
      const coded = { code: "BACKEND_IS_PROXY" };
      await expect(sockets.connect(name, listener.port, 1000, refuse)).rejects.toMatchObject(coded);
      await expect(sockets.ask(name, listener.port, request, 1000, refuse)).rejects.toMatchObject(coded);
    }
    expect(await sockets.probe(host, listener.port, 1000)).toBe(true);
    await until(() => expect(connects).toBe(1));
  } finally {
    await listener.close();
  }
});
