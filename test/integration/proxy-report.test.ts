// How soon a proxy says, and does, what changed around its listeners and backends.
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { Listeners } from "../../services/proxy/listeners.ts";
import { ServiceLoad } from "../../services/proxy/load.ts";
import { Route } from "../../services/proxy/route.ts";
import { anyServer } from "../support/nats.ts";
import { ask, cleanups, host, portOf, proxyOf, startCluster, startPod, until, web } from "../support/proxy.ts";
import type { Cluster } from "../support/proxy.ts";

const shown = (cluster: Cluster): unknown =>
  cluster.metrics.at(-1)?.routes.map(({ listen, reason, backends }) => ({
    listen: listen ?? reason,
    backends: backends.map(({ pod, state }) => `${pod} ${state}`),
  }));

/** Does it three times, which together take less than the two whole periods they would take without a report of their own. */
async function soonerThanPeriods(cluster: Cluster, steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  await until(() => expect(cluster.metrics.length).toBeGreaterThan(0));
  const [first] = cluster.metrics;
  for (const step of steps) await step();
  expect((cluster.metrics.at(-1)?.time ?? Infinity) - (first?.time ?? 0)).toBeLessThan(
    (steps.length - 1) * limits.metricsMs,
  );
}

it("tells a new listener, a port that is taken, one that is free again, and one that went, without waiting for its period", async () => {
  const cluster = await startCluster(anyServer());
  const squatter = createServer().listen(0, host);
  cleanups.push(() => squatter.close());
  await once(squatter, "listening");
  const { port } = squatter.address() as AddressInfo;
  await proxyOf(cluster.server.url, { all: {} });
  await soonerThanPeriods(cluster, [
    async () => {
      await cluster.head("web", port);
      await until(() => expect(shown(cluster)).toEqual([{ listen: "PORT_IN_USE", backends: [] }]));
    },
    async () => {
      squatter.close();
      await until(() => expect(shown(cluster)).toEqual([{ listen: `${host}:${port}`, backends: [] }]));
    },
    async () => {
      await cluster.remove("default.web.head");
      await until(() => expect(shown(cluster)).toEqual([]));
    },
  ]);
});

it("tells a backend that refuses, one that is back, and one that fails its check, without waiting for its period", async () => {
  const cluster = await startCluster(anyServer());
  const pod = await startPod("web-1");
  await cluster.head("web", 8080);
  await cluster.pods("web", [pod]);
  const proxy = await proxyOf(cluster.server.url, { services: web });
  const state = (word: string): Promise<unknown> =>
    until(() => expect(shown(cluster)).toEqual([expect.objectContaining({ backends: [`${pod.pod} ${word}`] })]));
  await state("up");
  await soonerThanPeriods(cluster, [
    async () => {
      await pod.stop();
      expect(await ask(portOf(proxy))).toBe("closed");
      await state("ejected");
    },
    // Nobody asks meanwhile: the time it is left out for is over.
    () => state("up"),
    async () => {
      await cluster.head("web", 8080, 1, { check: { type: "tcp", interval: "100ms", fall: 1 } });
      await state("down");
    },
  ]);
});

it("reports a burst of changes at most every 500 ms", async () => {
  const cluster = await startCluster(anyServer());
  const pods = [await startPod("web-1"), await startPod("web-2")];
  await cluster.head("web", 8080);
  await proxyOf(cluster.server.url, { services: web });
  for (let n = 0; n < 100; n += 1) await cluster.pods("web", pods.slice(n % 2));
  await until(() => expect(shown(cluster)).toEqual([expect.objectContaining({ backends: ["default/web-2 up"] })]));
  const times = cluster.metrics.map(({ time }) => time);
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  // Wall time beside timers of monotonic time: a few milliseconds apart.
  for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(490);
});

it("tries a taken port every 2 s at the slowest, however long it was taken", async () => {
  const squatter = createServer().listen(0, host);
  cleanups.push(() => squatter.close());
  await once(squatter, "listening");
  const { port } = squatter.address() as AddressInfo;
  const retries: { ms: number; fn: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (ms, fn) => {
      retries.push({ ms, fn });
      return () => {};
    },
  };
  const route = new Route("default/web", undefined, clock, 0, new ServiceLoad(clock));
  const ports = { clock, random: { next: () => 0.999 }, sockets: systemSockets, log: silent };
  const listeners = new Listeners(
    ports,
    () => {},
    () => {},
  );
  cleanups.push(() => listeners.closeAll());
  listeners.keep(route, host, port);
  for (let tries = 1; tries <= 12; tries += 1) {
    await until(() => expect(retries).toHaveLength(tries));
    if (tries === 12) squatter.close();
    retries.at(-1)?.fn();
  }
  await until(() => expect(listeners.listening()).toHaveLength(1));
  expect(Math.max(...retries.map(({ ms }) => ms))).toBeLessThanOrEqual(2000);
});
