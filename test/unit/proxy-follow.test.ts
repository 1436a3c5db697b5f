// How a proxy comes from one log to another, over the simulated bus: only there do hours pass.
import { expect, it } from "vitest";
import { silent } from "../../services/kernel/log.ts";
import { Follower } from "../../services/proxy/follow.ts";
import { proxyLimits } from "../../services/proxy/limits.ts";
import { EndpointTable } from "../../services/proxy/table.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";

const shard = (logId: string): string => JSON.stringify({ logId, sequence: 1, endpoints: [] });
const keys = ["default.api.0", "default.web.0"];
const slackMs = 500;
/** For so long something is kept that a bucket lost that went back. */
const shortMs = proxyLimits.wentBackMs;

it.each([undefined, "default/web"])(
  "lets go what was deleted long ago while it was away, following %s",
  async (narrow) => {
    const world = await SimWorld.open();
    const { bus } = await world.client();
    const { bus: proxy, clock } = await world.client();
    const bucket = bus.bucket(names.buckets.endpoints);
    const put = (key: string): Promise<number> => world.time.until(bucket.put(key, shard("a"), 0));
    const follow = (table: EndpointTable): Follower =>
      new Follower({ clock, bus: proxy, log: silent }, "test", narrow, table, { changed: () => {}, loaded: () => {} });
    await put("default.api.0");
    const revision = await put("default.web.0");
    const first = new EndpointTable();
    const before = follow(first);
    await world.time.pass(slackMs);
    expect(first.partsOf("default/web").size).toBe(1);
    before.stop();

    await world.time.until(bucket.remove("default.web.0", revision));
    await world.time.until(bucket.purgeMarkers(0));
    const again = new EndpointTable();
    again.restore(first.save());
    const after = follow(again);
    await world.time.pass(shortMs + slackMs);
    expect(again.partsOf("default/web").size).toBe(0);
    after.stop();
  },
);

it("gives up what it heard of alone, once the bucket was read twice without it: a power cut took it", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const { bus: proxy, clock } = await world.client();
  const told = JSON.stringify({ logId: "a", sequence: 5, endpoints: [] });
  await world.time.until(bus.bucket(names.buckets.endpoints).put("default.web.0", told, 0));
  const table = new EndpointTable();
  const events = { changed: () => {}, loaded: () => {} };
  const follower = new Follower({ clock, bus: proxy, log: silent }, "test", undefined, table, events);
  await world.time.pass(slackMs);
  const lost = { logId: "a", sequence: 9, endpoints: [] };
  bus.publish(names.endpoints("default", "web").replace("*", "0"), lost, { headers: { "Nats-Sequence": "7" } });
  await world.time.pass(slackMs);
  expect(table.appliedOf("default/web")).toEqual({ head: 0, 0: 9 });
  world.server.dropConsumers();
  await world.time.pass(10_000);
  expect(table.appliedOf("default/web")).toEqual({ head: 0, 0: 5 });
  follower.stop();
});

it.each([undefined, "default/web"])(
  "keeps what a power cut took from the bucket alone until a leader writes it anew, or time enough passed, following %s",
  async (narrow) => {
    const world = await SimWorld.open({ synced: false });
    const { bus } = await world.client();
    const { bus: proxy, clock } = await world.client();
    const bucket = bus.bucket(names.buckets.endpoints);
    const put = (key: string): Promise<number> => world.time.until(bucket.put(key, shard("a"), 0));
    const table = new EndpointTable();
    const events = { changed: () => {}, loaded: () => {} };
    const follower = new Follower({ clock, bus: proxy, log: silent }, "test", narrow, table, events);
    await put("default.api.0");
    world.server.sync();
    const cut = async (): Promise<void> => {
      world.server.powerCut();
      world.server.start();
      await world.time.pass(shortMs - slackMs);
      expect(table.partsOf("default/web").size).toBe(1);
    };
    await put("default.web.0");
    await world.time.pass(2 * proxyLimits.otherLogFirstMs);
    await cut();
    await put("default.web.0");
    await world.time.pass(proxyLimits.otherLogMaxMs + shortMs);
    expect(table.partsOf("default/web").size).toBe(1);
    await cut();
    await world.time.pass(2 * shortMs);
    expect(table.partsOf("default/web").size).toBe(0);
    follower.stop();
  },
);

it("keeps the one service it follows where the bucket has nothing else of its log", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  await world.time.until(bus.bucket(names.buckets.endpoints).put("default.api.0", shard("b"), 0));
  const table = new EndpointTable();
  table.restore({ logId: "a", parts: [["default.web.0", 7, JSON.parse(shard("a"))]] });
  const { bus: proxy, clock } = await world.client();
  const events = { changed: () => {}, loaded: () => {} };
  const follower = new Follower({ clock, bus: proxy, log: silent }, "test", "default/web", table, events);
  await world.time.pass(slackMs);
  expect(table.partsOf("default/web").size).toBe(1);
  follower.stop();
});

it("takes a restored log as soon after hours as at the start, and asks ever more rarely while values of both go on", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const { bus: proxy, clock } = await world.client();
  const bucket = bus.bucket(names.buckets.endpoints);
  const put = async (key: string, logId: string): Promise<void> => {
    const before = await world.time.until(bucket.get(key));
    await world.time.until(bucket.put(key, shard(logId), before?.revision ?? 0));
  };
  const table = new EndpointTable();
  let loads = 0;
  const follower = new Follower({ clock, bus: proxy, log: silent }, "test", undefined, table, {
    changed: () => {},
    loaded: () => {
      loads += 1;
    },
  });
  await world.time.pass(slackMs);
  // The bucket was empty, so the first values have it read anew.
  for (const key of keys) await put(key, "a");
  await world.time.pass(slackMs);
  expect(table.logId).toBe("a");

  await world.time.pass(3_600_000);
  for (const key of keys) await put(key, "b");
  await world.time.pass(proxyLimits.otherLogFirstMs + slackMs);
  expect(table.logId).toBe("b");

  // A stranger writes values of the old log for ten minutes, each second.
  await world.time.pass(60_000);
  loads = 0;
  for (let second = 0; second < 600; second += 1) {
    await put("default.api.0", second % 2 === 0 ? "a" : "b");
    await world.time.pass(1000);
  }
  expect(table.logId).toBe("b");
  expect(loads).toBeGreaterThan(600_000 / proxyLimits.otherLogMaxMs - 1);
  expect(loads).toBeLessThan(600_000 / proxyLimits.otherLogMaxMs + 6);
  follower.stop();
});

it("takes what a log says that lost its end again and again as soon as the first time", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const { bus: proxy, clock } = await world.client();
  const bucket = bus.bucket(names.buckets.endpoints);
  const put = async (sequence: number): Promise<void> => {
    const before = await world.time.until(bucket.get("default.web.0"));
    const value = JSON.stringify({ logId: "a", sequence, endpoints: [] });
    await world.time.until(bucket.put("default.web.0", value, before?.revision ?? 0));
  };
  await put(100);
  const table = new EndpointTable();
  const events = { changed: () => {}, loaded: () => {} };
  const follower = new Follower({ clock, bus: proxy, log: silent }, "test", undefined, table, events);
  await world.time.pass(slackMs);
  for (let sequence = 90; sequence > 0; sequence -= 10) {
    await put(sequence);
    await world.time.pass(proxyLimits.behindMaxMs + slackMs);
    expect(table.appliedOf("default/web")).toEqual({ head: 0, 0: sequence });
  }
  await world.time.pass(2 * proxyLimits.behindMaxMs);
  // A value of another log, for which there is more time, does not put off one that was told before it.
  for (const logId of ["b", "a"]) {
    const before = await world.time.until(bucket.get("default.api.0"));
    await world.time.until(bucket.put("default.api.0", shard(logId), before?.revision ?? 0));
  }
  await put(5);
  await world.time.pass(proxyLimits.behindMaxMs + slackMs);
  expect(table.appliedOf("default/web")).toEqual({ head: 0, 0: 5 });
  follower.stop();
});

it("follows another log as soon, however often it has looked for what the bucket lost", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const { bus: proxy, clock } = await world.client();
  const bucket = bus.bucket(names.buckets.endpoints);
  const put = (logId: string): Promise<number[]> =>
    world.time.until(Promise.all(keys.map((key) => bucket.put(key, shard(logId), 0))));
  await put("a");
  const table = new EndpointTable();
  const events = { changed: () => {}, loaded: () => {} };
  const follower = new Follower({ clock, bus: proxy, log: silent }, "test", undefined, table, events);
  await world.time.pass(slackMs);
  expect(table.logId).toBe("a");
  // A stranger's values had it read the bucket some times, and that was long ago.
  for (const logId of ["b", "a", "b", "a"]) {
    const before = await world.time.until(bucket.get("default.api.0"));
    await world.time.until(bucket.put("default.api.0", shard(logId), before?.revision ?? 0));
    await world.time.pass(10_000);
  }
  await world.time.pass(60_000);
  world.server.wipe();
  await world.ensure();
  world.server.dropConsumers();
  // It has read the empty bucket, and twice more.
  await world.time.pass(20_000);
  expect(table.partsOf("default/web").size).toBe(1);
  await put("b");
  await world.time.pass(proxyLimits.otherLogFirstMs + slackMs);
  expect(table.logId).toBe("b");
  follower.stop();
});
