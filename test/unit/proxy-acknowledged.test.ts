// What a proxy acknowledges: nothing that it may have missed a change of, and nothing of a service that is no more.
import { expect, it } from "vitest";
import { silent } from "../../services/kernel/log.ts";
import { Follower } from "../../services/proxy/follow.ts";
import { EndpointTable } from "../../services/proxy/table.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";

const web = "default/web";
const slackMs = 500;

const shard = (sequence: number): unknown => ({ logId: "a", sequence, endpoints: [] });

async function following(table: EndpointTable) {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const { bus: proxy, clock, link } = await world.client();
  const bucket = bus.bucket(names.buckets.endpoints);
  const put = (sequence: number, revision: number): Promise<number> =>
    world.time.until(bucket.put("default.web.0", JSON.stringify(shard(sequence)), revision));
  const events = { changed: () => {}, loaded: () => {} };
  const follow = () => new Follower({ clock, bus: proxy, log: silent }, "test", web, table, events);
  return { world, bus, bucket, put, follow, link };
}

it("acknowledges what was on its disk, and what it knew before it lost its connection, once a full load has told it", async () => {
  const table = new EndpointTable();
  table.restore({ logId: "a", parts: [["default.web.0", 1, shard(5)]] });
  const { world, bus, put, follow, link } = await following(table);
  await put(5, 0);
  expect(table.acknowledged(web)).toEqual({ head: 0, 0: 0 });
  const follower = follow();
  await world.time.pass(slackMs);
  expect(table.acknowledged(web)).toEqual({ head: 0, 0: 5 });
  link.reset();
  // A hint comes sooner than the load, and says nothing of what was missed.
  const hint = names.endpoints("default", "web").replace("*", "0");
  while (table.appliedOf(web)["0"] !== 9) {
    bus.publish(hint, shard(9), { headers: { "Nats-Sequence": "7" } });
    await world.time.pass(1);
  }
  expect(table.acknowledged(web)).toEqual({ head: 0, 0: 0 });
  await world.time.pass(slackMs);
  expect(table.acknowledged(web)).toEqual({ head: 0, 0: 9 });
  follower.stop();
});

it("acknowledges nothing of a service that was deleted, and serves it no more", async () => {
  const table = new EndpointTable();
  const { world, bucket, put, follow } = await following(table);
  const revision = await put(5, 0);
  const follower = follow();
  await world.time.pass(slackMs);
  await world.time.until(bucket.remove("default.web.0", revision));
  await world.time.pass(slackMs);
  expect(table.acknowledged(web)).toBeUndefined();
  follower.stop();
});
