import { once } from "node:events";
import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hostFact } from "../../services/kernel/node/host.ts";
import type { RunningProxy } from "../../services/proxy/main.ts";
import { anyServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";
import {
  ask,
  askMany,
  Client,
  host,
  folder,
  logInto,
  portOf,
  proxyOf,
  startCluster,
  startPod,
  until,
  web,
  cleanups,
} from "../support/proxy.ts";

it("tries the next pod when one refuses, sets it aside, and takes it back when it answers", async () => {
  const cluster = await startCluster(anyServer());
  const [a, b] = [await startPod("web-1"), await startPod("web-2")];
  const dead = await startPod("web-3");
  await dead.stop();
  await cluster.head("web", 8080);
  await cluster.pods("web", [a, b, dead]);
  const proxy = await proxyOf(cluster.server.url, { services: web });
  const counts = await askMany(portOf(proxy), 30);
  expect(Object.keys(counts).toSorted()).toEqual(["web-1", "web-2"]);
  expect(Math.abs((counts["web-1"] ?? 0) - (counts["web-2"] ?? 0))).toBeLessThanOrEqual(4);
  const back = createServer((socket) => socket.end("web-3\n")).listen(dead.port, host);
  cleanups.push(() => back.close());
  await until(async () => expect(await ask(portOf(proxy))).toBe("web-3"));
  expect((await askMany(portOf(proxy), 9))["web-3"]).toBe(3);
});

it("closes a connection when no pod takes it", async () => {
  const cluster = await startCluster(anyServer());
  const dead = await startPod("web-1");
  await dead.stop();
  await cluster.head("web", 8080);
  await cluster.pods("web", [dead]);
  const proxy = await proxyOf(cluster.server.url, { services: web });
  expect(await askMany(portOf(proxy), 3)).toEqual({ closed: 3 });
});

it("listens before the service exists; a connection waits for the first pod, but not for ever", async () => {
  const cluster = await startCluster(anyServer());
  const proxy = await proxyOf(cluster.server.url, { services: web });
  const started = performance.now();
  expect(await ask(portOf(proxy))).toBe("closed");
  expect(performance.now() - started).toBeGreaterThan(900);
  const pod = await startPod("web-1");
  const waiting = ask(portOf(proxy));
  await cluster.head("web", 8080);
  await cluster.pods("web", [pod]);
  expect(await waiting).toBe("web-1");
});

it("serves the last known endpoints after a restart without the bus", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  await cluster.head("web", 8080);
  await cluster.pods("web", [pod]);
  const data = folder();
  const first = await proxyOf(cluster.server.url, { services: web, data });
  expect(await ask(portOf(first))).toBe("web-1");
  await first.stop();
  await cluster.server.stop();
  const draft = join(data, "proxy-p1.json.0123456789ab.tmp");
  writeFileSync(draft, "left by one that was killed");
  utimesSync(draft, 1, 1);
  const second = await proxyOf(cluster.server.url, { services: web, data });
  expect(await askMany(portOf(second), 3)).toEqual({ "web-1": 3 });
  expect(existsSync(draft)).toBe(false);
});

it("lets go of the last service when it was deleted while the proxy was down", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  await cluster.head("web", 8080);
  await cluster.pods("web", [pod]);
  const data = folder();
  const first = await proxyOf(cluster.server.url, { services: web, data });
  expect(await ask(portOf(first))).toBe("web-1");
  await first.stop();
  await cluster.remove("default.web.head");
  await cluster.remove("default.web.0");
  const second = await proxyOf(cluster.server.url, { services: web, data });
  await until(async () => expect(await ask(portOf(second))).toBe("closed"));
});

it("with `all` gives each service a listener at its own port, and takes it away with the service", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("any-1");
  const [webPort, apiPort, next] = [await freePort(), await freePort(), await freePort()];
  const proxy = await proxyOf(cluster.server.url, { all: {} });
  expect(proxy.listening()).toEqual([]);
  await cluster.head("web", webPort);
  await cluster.pods("web", [pod]);
  await cluster.head("api", apiPort);
  await cluster.pods("api", [pod]);
  const ports = (): number[] =>
    proxy
      .listening()
      .map(({ port }) => port)
      .toSorted((one, other) => one - other);
  await until(() => expect(ports()).toEqual([webPort, apiPort].toSorted((one, other) => one - other)));
  expect(await ask(webPort)).toBe("any-1");
  const client = new Client(apiPort);
  expect(await client.pod()).toBe("any-1");
  await cluster.head("web", next);
  await until(() => expect(ports()).toContain(next));
  await cluster.remove("default.api.head");
  await cluster.remove("default.api.0");
  await until(() => expect(ports()).toEqual([next]));
  await client.echo("an open connection goes on");
  await until(() => expect(cluster.lastBeat?.services).toHaveProperty("default/web"));
  await until(() => expect(cluster.lastBeat?.services).not.toHaveProperty("default/api"));
});

it("serves several named services, each at its address, and the port of one that was chosen by name", async () => {
  const cluster = await startCluster(anyServer());
  const [a, b] = [await startPod("web-1"), await startPod("api-1")];
  await cluster.head("web", 8080);
  await cluster.pods("web", [a]);
  const named = ["web", "api:http", "api:nope"].map((name) => ({ namespace: "default", name, listen: `${host}:0` }));
  const proxy = await proxyOf(cluster.server.url, { services: named });
  const [webPort = 0, apiPort = 0, nopePort = 0] = proxy.listening().map(({ port }) => port);
  expect(await ask(webPort)).toBe("web-1");
  expect(await ask(apiPort)).toBe("closed");
  await cluster.head("api", 9090);
  await cluster.pods("api", [b]);
  await until(async () => expect(await ask(apiPort)).toBe("api-1"));
  expect(await ask(nopePort)).toBe("closed");
  await until(() =>
    expect(Object.keys(cluster.lastBeat?.services ?? {}).toSorted()).toEqual(["default/api", "default/web"]),
  );
  await cluster.remove("default.web.head");
  await cluster.remove("default.web.0");
  await until(async () => expect(await ask(webPort)).toBe("closed"));
  expect(await ask(apiPort)).toBe("api-1");
});

it("says that a port is taken, serves the others, and takes the port once it is free", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("any-1");
  const squatter = createServer().listen(0, host);
  cleanups.push(() => squatter.close());
  await once(squatter, "listening");
  const taken = (squatter.address() as AddressInfo).port;
  const free = await freePort();
  await cluster.head("web", taken);
  await cluster.head("api", free);
  await cluster.pods("web", [pod]);
  await cluster.pods("api", [pod]);
  const lines: string[] = [];
  await proxyOf(cluster.server.url, { all: {}, log: logInto(lines) });
  await until(async () => expect(await ask(free)).toBe("any-1"));
  expect(lines.join("\n")).toContain("PORT_IN_USE");
  squatter.close();
  await until(async () => expect(await ask(taken)).toBe("any-1"));
});

it("refuses to start when the port of a named service is taken, or the address is none", async () => {
  const squatter = createServer().listen(0, host);
  cleanups.push(() => squatter.close());
  await once(squatter, "listening");
  const { port } = squatter.address() as AddressInfo;
  const start = (name: string, listen: string): Promise<RunningProxy> =>
    proxyOf(`nats://${host}:1`, { services: [{ namespace: "default", name, listen }] });
  await expect(start("web", `${host}:${port}`)).rejects.toMatchObject({ code: "PORT_IN_USE" });
  for (const listen of ["", "x", `${host}:70000`, "a:b:1", `${host}:`]) {
    await expect(start("web", listen)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
  await expect(start("web:", "0")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

it("takes values of a new log only as a whole, and then follows it", async () => {
  const cluster = await startCluster(anyServer());
  const [a, b] = [await startPod("web-1"), await startPod("web-2")];
  await cluster.head("web", 8080);
  await cluster.pods("web", [a]);
  const lines: string[] = [];
  const proxy = await proxyOf(cluster.server.url, { services: web, log: logInto(lines) });
  expect(await ask(portOf(proxy))).toBe("web-1");
  cluster.logId = "log-b";
  await cluster.pods("web", [b]);
  await until(() => expect(lines.join("\n")).toContain("LOG_UNKNOWN"));
  expect(await ask(portOf(proxy))).toBe("web-1");
  await cluster.head("web", 8080);
  await until(async () => expect(await ask(portOf(proxy))).toBe("web-2"));
});

it("uses the local address of a pod on the same host", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  const unreachable = await freePort();
  await cluster.head("web", 8080);
  const address = { name: "http", host, hostPort: unreachable, local: host, localPort: pod.port };
  const endpoint = { pod: pod.pod, node: "n1", host: hostFact(), addresses: [address] };
  await cluster.put("default.web.0", { logId: cluster.logId, sequence: 99, endpoints: [endpoint] });
  const proxy = await proxyOf(cluster.server.url, { services: web });
  expect(await ask(portOf(proxy))).toBe("web-1");
});

it("on stop takes no more connections, lets open ones finish, and says goodbye", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  await cluster.head("web", 8080);
  await cluster.pods("web", [pod]);
  const proxy = await proxyOf(cluster.server.url, { services: web });
  const port = portOf(proxy);
  const client = new Client(port);
  expect(await client.pod()).toBe("web-1");
  const stopping = proxy.stop();
  await until(async () => expect(await ask(port)).toBe("closed"));
  await client.echo("finish this");
  await client.end();
  const started = performance.now();
  await stopping;
  await proxy.closed;
  expect(performance.now() - started).toBeLessThan(3000);
  await until(() => expect(cluster.beats.at(-1)).toMatchObject({ services: {}, open: {}, leaving: true }));
});

it("listens for no service that comes while it stops", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  const [port, other] = [await freePort(), await freePort()];
  await cluster.head("web", port);
  await cluster.pods("web", [pod]);
  const proxy = await proxyOf(cluster.server.url, { all: {} });
  await until(async () => expect(await ask(port)).toBe("web-1"));
  const client = new Client(port);
  expect(await client.pod()).toBe("web-1");
  const stopping = proxy.stop();
  await cluster.head("api", other);
  await cluster.pods("api", [pod]);
  await until(() => expect(cluster.lastBeat?.services).toHaveProperty("default/api"));
  await client.end();
  await stopping;
  expect(proxy.listening()).toEqual([]);
  expect(await ask(other)).toBe("closed");
});

it("drops connections that do not finish in time when it stops", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  await cluster.head("web", 8080);
  await cluster.pods("web", [pod]);
  const proxy = await proxyOf(cluster.server.url, { services: web });
  const client = new Client(portOf(proxy));
  expect(await client.pod()).toBe("web-1");
  const started = performance.now();
  await proxy.stop();
  expect(performance.now() - started).toBeGreaterThan(4500);
  await until(() => expect(client.socket.closed).toBe(true));
});
