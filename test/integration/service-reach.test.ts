// Waiting for a service whose port is taken: the built program, a real controller and a real proxy.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silent } from "../../services/kernel/log.ts";
import { startProxy } from "../../services/proxy/main.ts";
import type { RunningProxy } from "../../services/proxy/main.ts";
import { freePort } from "../support/ports.ts";
import { onTerminal } from "../support/pty.ts";
import { SimCluster } from "../support/sim-cluster.ts";

let cluster: SimCluster;
let proxy: RunningProxy | undefined;
let squatter: Server;
let taken = 0;
const folder = mkdtempSync(join(tmpdir(), "swain-reach-"));

beforeAll(async () => {
  cluster = await SimCluster.start(1);
  squatter = createServer().listen(0, "127.0.0.1");
  await once(squatter, "listening");
  taken = (squatter.address() as AddressInfo).port;
});
afterAll(async () => {
  squatter.close();
  await proxy?.stop();
  await cluster?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const manifests = (name: string, port: number): string => {
  const head = { apiVersion: "swain/v1", metadata: { name } };
  const containers = [{ name: "main", sim: {}, ports: [{ name: "http", containerPort: 80 }] }];
  const workload = { ...head, kind: "Workload", spec: { replicas: 1, containers } };
  const spec = { selector: { workload: name }, ports: [{ port, targetPort: "http" }] };
  return `${JSON.stringify(workload)}\n---\n${JSON.stringify({ ...head, kind: "Service", spec })}`;
};

test("without a proxy a service is in place at once, and describe says that none serves it", async () => {
  await cluster.ok(["apply", "-f", "-", "--wait"], manifests("plain", await freePort()));
  await cluster.ok(["wait", "service/plain"]);
  expect(await cluster.ok(["describe", "service/plain"])).toMatch(/^Proxies: +none serves it: /m);
  await cluster.ok(["delete", "service/plain", "--wait"]);
});

test("a service whose port is taken is waited for until its proxy has the port", async () => {
  proxy = await startProxy({
    server: cluster.server.url,
    cluster: "test",
    id: "p1",
    data: folder,
    all: {},
    log: silent,
  });
  // A proxy that the leader has not heard of yet is none that could be waited for.
  await expect
    .poll(() => cluster.ok(["proxy", "ls", "-o", "json"]), { timeout: 20_000, interval: 200 })
    .toMatch(/"all": true/);
  const free = await freePort();
  await cluster.ok(["apply", "-f", "-", "--wait", "--timeout", "60s"], manifests("good", free));
  // The first look is enough: it was observed that clients get in.
  expect(proxy.listening().map(({ port }) => port)).toEqual([free]);

  const why = `PORT_IN_USE: no proxy can listen on port ${taken} (tried by p1)`;
  const applied = await cluster.run(["apply", "-f", "-", "--wait", "--timeout", "6s"], manifests("web", taken));
  expect(applied.code, applied.stderr).toBe(5);
  expect(applied.stderr).toContain(`${why}. Choose another port, or stop what listens there.`);
  expect(applied.stderr).toMatch(/^error: WAIT_TIMEOUT: not there after 6s: service default\/web$/m);
  const ready = await cluster.run(["wait", "service/web", "--for", "ready", "--timeout", "300ms"]);
  expect([ready.code, ready.stderr]).toEqual([5, expect.stringContaining(`1 endpoint, but ${why}`)]);
  await cluster.ok(["wait", "service/web", "--for", "count=1"]);

  const listed = await cluster.ok(["get", "services"]);
  expect(listed).toMatch(/^NAME .* REASON$/m);
  expect(listed.split("\n").find((line) => line.startsWith("web "))).toContain(why);
  expect(listed.split("\n").find((line) => line.startsWith("good "))).not.toContain("PORT_IN_USE");
  const story = await cluster.ok(["describe", "service/web"]);
  expect(story).toContain(why);
  expect(story).toMatch(/^What to do:\n {2}PORT_IN_USE: Choose another port/m);
  expect(await cluster.ok(["proxy", "ls"])).toMatch(new RegExp(`default/web:${taken} +- .* PORT_IN_USE$`, "m"));
  expect(await cluster.ok(["proxy", "ls", "-o", "wide"])).toMatch(/default\/web:\d+ +- .* PORT_IN_USE$/m);

  const wait = onTerminal(["wait", "service/web", "--timeout", "60s", ...cluster.options], { NO_COLOR: "1" });
  await expect.poll(wait.shown, { timeout: 20_000 }).toContain("PORT_IN_USE");
  squatter.close();
  expect(await wait.ended).toBe(0);
  expect(proxy.listening().map(({ port }) => port)).toContain(taken);
  expect(await cluster.ok(["get", "services"])).not.toContain("PORT_IN_USE");
  expect(await cluster.ok(["describe", "service/web"])).toMatch(new RegExp(`^Reached at: +127.0.0.1:${taken}$`, "m"));
});
