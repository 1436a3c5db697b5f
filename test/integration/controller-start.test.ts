import { EventEmitter, once } from "node:events";
import { connect } from "nats";
import { expect, it } from "vitest";
import { startController } from "../../services/controller/main.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Logger } from "../../services/kernel/log.ts";
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
      const tries = new EventEmitter();
      const log: Logger = { ...silent, debug: () => void tries.emit("again"), with: () => log };
      const started = startController({ server, cluster: world.cluster, id: "c1", log });
      started.catch(() => {});
      await asked;
      relay.cut();
      // Until it has said that it tries again, or has given up.
      await Promise.race([once(tries, "again"), started]);
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
