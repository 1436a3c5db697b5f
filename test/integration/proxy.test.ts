import { randomBytes } from "node:crypto";
import { expect, it, vi } from "vitest";
import { ensureStreams } from "../../services/bus/streams.ts";
import { describeServers } from "../support/nats.ts";
import {
  ask,
  askMany,
  Client,
  folder,
  logInto,
  portOf,
  proxyOf,
  startCluster,
  startPod,
  until,
  web,
} from "../support/proxy.ts";

describeServers("the proxy", (binary) => {
  it("spreads connections evenly and follows pods as they come and go", async () => {
    const cluster = await startCluster(binary);
    const [a, b, c] = [await startPod("web-1"), await startPod("web-2"), await startPod("web-3")];
    await cluster.head("web", 8080);
    await cluster.pods("web", [a, b, c]);
    const proxy = await proxyOf(cluster.server.url, { services: web });
    expect(await askMany(portOf(proxy), 30)).toEqual({ "web-1": 10, "web-2": 10, "web-3": 10 });
    const sequence = await cluster.pods("web", [a, c]);
    await until(() => expect(cluster.lastBeat?.services["default/web"]?.["0"]).toBe(sequence));
    expect(await askMany(portOf(proxy), 10)).toEqual({ "web-1": 5, "web-3": 5 });
  });

  it("needs no more rights than those of its role", async () => {
    const cluster = await startCluster(binary, ["controller", "proxy"]);
    const [a, b] = [await startPod("web-1"), await startPod("web-2")];
    await cluster.head("web", 8080);
    await cluster.pods("web", [a]);
    const lines: string[] = [];
    const creds = cluster.creds.get("proxy") ?? "";
    const data = folder();
    const proxy = await proxyOf(cluster.server.url, { services: web, creds, data, log: logInto(lines) });
    expect(await ask(portOf(proxy))).toBe("web-1");
    await cluster.pods("web", [b]);
    await until(async () => expect(await ask(portOf(proxy))).toBe("web-2"));
    await until(() => expect(cluster.lastBeat?.services["default/web"]?.["0"]).toBeGreaterThan(0));
    await proxy.stop();
    await cluster.remove("default.web.head");
    await cluster.remove("default.web.0");
    const again = await proxyOf(cluster.server.url, { services: web, creds, data, log: logInto(lines) });
    await until(async () => expect(await ask(portOf(again))).toBe("closed"));
    expect(lines.join("\n")).not.toContain("refused a subject");
  });

  it("acknowledges what it had on its disk as soon as it has read all endpoints again", async () => {
    const cluster = await startCluster(binary);
    await cluster.head("web", 8080);
    const sequence = await cluster.pods("web", []);
    const data = folder();
    const first = await proxyOf(cluster.server.url, { services: web, data });
    await until(() => expect(cluster.lastBeat?.services["default/web"]?.["0"]).toBe(sequence));
    await first.stop();
    await until(() => expect(cluster.lastBeat?.services).toEqual({}));
    await proxyOf(cluster.server.url, { services: web, data });
    await until(() => expect(cluster.lastBeat?.services["default/web"]?.["0"]).toBe(sequence));
    // Not with the next that tells everything anyway.
    expect(cluster.lastBeat?.number).toBeLessThan(4);
  });

  it("acknowledges a change within 100 ms, head and shards apart, and tells 0 for what it has not loaded", async () => {
    const cluster = await startCluster(binary);
    await proxyOf(cluster.server.url, { services: web });
    await until(() => expect(cluster.lastBeat).toMatchObject({ services: {}, open: {} }));
    const head = await cluster.head("web", 8080, 2);
    await until(() => expect(cluster.lastBeat?.services).toEqual({ "default/web": { head, "0": 0, "1": 0 } }));
    const times: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      const sequence = await cluster.pods("web", []);
      const started = performance.now();
      await vi.waitFor(() => expect(cluster.lastBeat?.services["default/web"]?.["0"]).toBe(sequence), { interval: 1 });
      times.push(performance.now() - started);
    }
    expect(times.toSorted((one, other) => one - other)[10]).toBeLessThan(100);
    // Nobody waits for it any more once its service is deleted.
    for (const part of ["head", "0"]) await cluster.remove(`default.web.${part}`);
    await until(() => expect(cluster.lastBeat?.services).toEqual({}));
  });

  it("lets an open connection to a removed pod finish, opens no new one, and tells when it is free", async () => {
    const cluster = await startCluster(binary);
    const [old, fresh] = [await startPod("web-1"), await startPod("web-2")];
    await cluster.head("web", 8080);
    await cluster.pods("web", [old]);
    const proxy = await proxyOf(cluster.server.url, { services: web });
    const client = new Client(portOf(proxy));
    expect(await client.pod()).toBe("web-1");
    expect(cluster.lastBeat?.open).toEqual({});
    await cluster.pods("web", [fresh]);
    await until(() => expect(cluster.lastBeat?.open).toEqual({ "default/web-1": 1 }));
    expect(await askMany(portOf(proxy), 6)).toEqual({ "web-2": 6 });
    await client.echo(randomBytes(1000).toString("hex"));
    const beats = cluster.beats.length;
    await client.end();
    await vi.waitFor(() => expect(cluster.lastBeat?.open).toEqual({}), { timeout: 500, interval: 5 });
    expect(cluster.beats.length).toBeGreaterThan(beats);
  });

  it("follows what a service says about traffic at once, and tells what it carries", async () => {
    const cluster = await startCluster(binary, ["controller", "proxy", "operator"]);
    const [a, b] = [await startPod("web-1"), await startPod("web-2")];
    await cluster.head("web", 8080);
    await cluster.pods("web", [a, b]);
    const creds = cluster.creds.get("proxy") ?? "";
    const proxy = await proxyOf(cluster.server.url, { services: web, creds });
    const client = new Client(portOf(proxy));
    const own = await client.pod();
    const sequence = await cluster.head("web", 8080, 1, { sticky: "source" });
    await vi.waitFor(() => expect(cluster.lastBeat?.services["default/web"]?.["head"]).toBe(sequence), 500);
    expect(Object.keys(await askMany(portOf(proxy), 6))).toHaveLength(1);
    await client.echo("1234567890");
    await cluster.pods("web", own === "web-1" ? [b] : [a]);
    await until(() => {
      const [route] = cluster.metrics.at(-1)?.routes ?? [];
      expect(route).toMatchObject({ service: "default/web", listen: `127.0.0.1:${portOf(proxy)}`, open: 1, total: 7 });
      const draining = route?.backends.find(({ pod }) => pod === `default/${own}`);
      expect(draining).toMatchObject({ state: "draining", open: 1, bytesIn: 10 });
      expect(draining?.bytesOut).toBeGreaterThanOrEqual(16);
      expect(route?.backends.reduce((sum, { total }) => sum + total, 0)).toBe(7);
    });
  });

  it("goes on serving while the server is gone, and picks up what changed meanwhile", async () => {
    const cluster = await startCluster(binary);
    const [a, b] = [await startPod("web-1"), await startPod("web-2")];
    await cluster.head("web", 8080);
    await cluster.pods("web", [a]);
    const proxy = await proxyOf(cluster.server.url, { services: web });
    const client = new Client(portOf(proxy));
    expect(await client.pod()).toBe("web-1");
    await cluster.server.kill();
    await client.echo("still here");
    expect(await askMany(portOf(proxy), 5)).toEqual({ "web-1": 5 });
    await cluster.server.start();
    await until(() => expect(cluster.bus.state()).toBe("connected"));
    await cluster.pods("web", [b]);
    await until(async () => expect(await ask(portOf(proxy))).toBe("web-2"), 20_000);
    await client.echo("still here");
  });

  it("follows a log that lost its end, and acknowledges nothing of it before it has taken it", async () => {
    const cluster = await startCluster(binary);
    const [a, b] = [await startPod("web-1"), await startPod("web-2")];
    await cluster.head("web", 8080);
    cluster.sequence = 500;
    const lost = await cluster.pods("web", [a, b]);
    const proxy = await proxyOf(cluster.server.url, { services: web });
    const told = (): number | undefined => cluster.lastBeat?.services["default/web"]?.["0"];
    await until(() => expect(told()).toBe(lost));
    cluster.sequence = 300;
    const next = await cluster.pods("web", [a]);
    await until(() => expect(told()).toBe(0));
    await until(() => expect(told()).toBe(next));
    expect(await askMany(portOf(proxy), 4)).toEqual({ "web-1": 4 });
  });

  it("keeps its endpoints when the bus comes back empty", async () => {
    const cluster = await startCluster(binary);
    const pod = await startPod("web-1");
    await cluster.head("web", 8080);
    await cluster.pods("web", [pod]);
    const lines: string[] = [];
    const proxy = await proxyOf(cluster.server.url, { services: web, log: logInto(lines) });
    expect(await ask(portOf(proxy))).toBe("web-1");
    await cluster.server.kill();
    cluster.server.wipe();
    await cluster.server.start();
    await until(() => expect(cluster.bus.state()).toBe("connected"));
    await ensureStreams(cluster.bus, "default", { replicas: 1 });
    await until(() => expect(lines.join("\n")).toContain("nothing says that they were removed"), 40_000);
    expect(await askMany(portOf(proxy), 4)).toEqual({ "web-1": 4 });
  });
});
