// A server of three was away: until it has caught up, its copies are behind. A reader is served by any copy, as chance has
// it, and must not take the end of this one for the end.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { connectTo } from "../support/bus.ts";
import { until } from "../support/cluster.ts";
import { describeServer } from "../support/nats.ts";
import { ServerCluster } from "../support/server-cluster.ts";

const records = 600;
const readers = Array.from({ length: 12 });
const subjects = subjectsOf("test");

describeServer("current", "a copy that is behind", (binary) => {
  let servers: ServerCluster;
  let bus: Bus;
  /** Keys whose writing was acknowledged: the bucket may have been led by the server that stands still. */
  const written = new Set<string>();

  beforeAll(async () => {
    servers = await ServerCluster.start(binary);
    const any = await connectTo(servers.urls);
    await ensureStreams(any, "test", { replicas: 3 });
    await servers.whole(any);
    const leader = await servers.leaderOf(any, subjects.stream);
    const behind = [...servers.servers.keys()].find((name) => name !== leader) ?? "";
    await any.close();
    bus = await connectTo(servers.server(leader).url);

    await servers.server(behind).freeze();
    const bucket = bus.bucket(subjects.buckets.pods);
    const subject = subjects.event("pod", "default", "web-1", "placed");
    // Large, so that catching up takes its time.
    const data = new Uint8Array(20_000);
    for (let last = 0; last < records; last += 1) {
      const options = { expectedSequence: last, messageId: String(last), timeoutMs: 5000 };
      const key = `default.web-${last}`;
      const put = bucket.put(key, "x".repeat(20_000), 0);
      await Promise.all([
        bus.log(subjects.stream).append(subject, data, options),
        put.then(
          () => written.add(key),
          () => {},
        ),
      ]);
    }
    servers.server(behind).thaw();
  }, 60_000);
  afterAll(async () => {
    await bus?.close();
    await servers?.dispose();
  });

  it("hides no record and no key from a reader", async () => {
    const read = async (): Promise<number> => {
      let count = 0;
      await bus.log(subjects.stream).read(1, () => (count += 1));
      return count;
    };
    const bucket = bus.bucket(subjects.buckets.pods);
    const load = async (): Promise<ReadonlySet<string>> => new Set((await bucket.load()).keys());
    const watch = (): Promise<ReadonlySet<string>> =>
      new Promise((resolve) => {
        const onLoaded = (keys: ReadonlySet<string>): void => {
          stop();
          resolve(keys);
        };
        const stop = bucket.watch(">", { onEntry: () => {}, onLoaded });
      });
    const [counts, keys] = await Promise.all([
      // A reader that is told that no answer came in time knows that it has read nothing.
      Promise.all(readers.map(() => until("the log is read", read))),
      Promise.all(readers.flatMap(() => [until("the bucket is loaded", load), watch()])),
    ]);
    expect(counts).toEqual(readers.map(() => records));
    expect(written.size).toBeGreaterThan(records / 2);
    expect(keys.map((found) => [...written].filter((key) => !found.has(key)))).toEqual(keys.map(() => []));
  }, 60_000);
});
