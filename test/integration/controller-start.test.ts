import { connect } from "nats";
import { expect, it } from "vitest";
import { startController } from "../../services/controller/main.ts";
import { sleep } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { openWorld } from "../support/bus.ts";
import { describeServers } from "../support/nats.ts";
import { Relay } from "../support/relay.ts";

describeServers("a controller that starts", (binary) => {
  it("waits for a log that gives no answer for a while once its streams are there", async () => {
    const world = await openWorld(binary);
    const { hostname, port } = new URL(world.server.url);
    const relay = await Relay.open({ host: hostname, port: Number(port) });
    const watcher = await connect({ servers: world.server.url });
    try {
      // Once it makes sure of each stream; then it reads what is in them.
      const asked = new Promise<void>((resolve) => {
        let times = 0;
        const callback = (): void => {
          times += 1;
          if (times === 2) resolve();
        };
        watcher.subscribe("$JS.API.STREAM.INFO.SWAIN_test_SNAPSHOTS", { callback });
      });
      await watcher.flush();
      const server = `nats://127.0.0.1:${relay.port}`;
      const started = startController({ server, cluster: world.cluster, id: "c1", log: silent });
      started.catch(() => {});
      await asked;
      relay.cut();
      await sleep(systemClock, 7000);
      relay.mend();
      const controller = await started;
      expect(controller.insight.health()).toMatchObject([{ ok: true }]);
      await controller.stop();
    } finally {
      await watcher.close();
      relay.close();
      await world.close();
    }
  });
});
