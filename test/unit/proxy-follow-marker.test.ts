// A bucket that lost its end in a power cut, and with it that a service was made again.
import { expect, it } from "vitest";
import { silent } from "../../services/kernel/log.ts";
import { Follower } from "../../services/proxy/follow.ts";
import { proxyLimits } from "../../services/proxy/limits.ts";
import { EndpointTable } from "../../services/proxy/table.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";

const slackMs = 500;

it.each([undefined, "default/web"])(
  "does not take the marker that is left there for its end before the time for what was lost is over, following %s",
  async (narrow) => {
    const world = await SimWorld.open({ synced: false });
    const { bus } = await world.client();
    const { bus: proxy, clock } = await world.client();
    const bucket = bus.bucket(names.buckets.endpoints);
    const put = (key: string, sequence: number, revision = 0): Promise<number> => {
      const value = JSON.stringify({ logId: "a", sequence, endpoints: [] });
      return world.time.until(bucket.put(key, value, revision));
    };
    const table = new EndpointTable();
    const events = { changed: () => {}, loaded: () => {} };
    const follower = new Follower({ clock, bus: proxy, log: silent }, "test", narrow, table, events);
    await put("default.api.0", 1);
    const first = await put("default.web.0", 2);
    await world.time.pass(slackMs);
    const marker = await world.time.until(bucket.remove("default.web.0", first));
    world.server.sync();
    await put("default.web.0", 4, marker);
    await world.time.pass(slackMs);
    world.server.powerCut();
    world.server.start();
    for (let ms = 0; ms < proxyLimits.wentBackMs - slackMs; ms += slackMs) {
      await world.time.pass(slackMs);
      expect(table.appliedOf("default/web")).toMatchObject({ 0: 4 });
    }
    // Nobody wrote it anew.
    await world.time.pass(2 * proxyLimits.wentBackMs);
    expect(table.partsOf("default/web").size).toBe(0);
    follower.stop();
  },
);
