// A server that lost the two others of a cluster: what it goes on saying of the log, and for how long.
import { expect, it } from "vitest";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { fencing } from "../../services/core/fence.ts";
import { connectTo } from "../support/bus.ts";
import { describeServer } from "../support/nats.ts";
import { ServerCluster } from "../support/server-cluster.ts";

const { stream, buckets } = subjectsOf("test");
/** Long after it has noticed: a server that has a copy goes on answering where it is not asked who leads. */
const watchedMs = fencing.staleReadMs + 6000;

describeServer("current", "the last of three servers", (binary) => {
  it(
    "tells the end of the log for no longer than decision 27 reckons with, and lets nobody read a bucket anew",
    { timeout: 90_000 },
    async () => {
      const servers = await ServerCluster.start(binary);
      try {
        const any = await connectTo(servers.urls);
        await ensureStreams(any, "test", { replicas: 3 });
        await servers.whole(any);
        const alone = await servers.leaderOf(any, stream);
        await any.close();
        const bus = await connectTo(servers.server(alone).url);
        const others = [...servers.servers.keys()].filter((name) => name !== alone);
        await Promise.all(others.map((name) => servers.server(name).kill()));
        const since = performance.now();
        let told = 0;
        let loads = 0;
        // Else a proxy that connects to it would take endpoints of before for those of now.
        bus.bucket(buckets.endpoints).watch(">", { onEntry: () => {}, onLoaded: () => (loads += 1) });
        while (performance.now() - since < watchedMs) {
          const asked = performance.now() - since;
          const isTold = await bus
            .log(stream)
            .tail()
            .then(
              () => true,
              () => false,
            );
          if (isTold) told = asked;
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
        await bus.close();
        expect(loads).toBe(0);
        expect(told).toBeGreaterThan(0);
        expect(told).toBeLessThanOrEqual(fencing.staleReadMs);
      } finally {
        await servers.dispose();
      }
    },
  );
});
