// One of three servers is cut off from the others, and answers its clients as if nothing were. Every part is connected to it:
// the leader must find that it leads nothing, and all must find the way to the others.
import { expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import { Watch } from "../support/census.ts";
import { Fleet } from "../support/fleet.ts";
import { load, spread } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { describeServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";
import { ServerCluster } from "../support/server-cluster.ts";

/** Other tests end processes by the name of their pod: no other has pods of this name. */
const serving = "beside";
/** Until the server notices, until the leader does, until the parts do, and an election; agents ask each half minute. */
const movedMs = 100_000;

describeServer("current", "a server that is cut off from two others", (binary) => {
  it("is left by all parts, and no program notices", { timeout: 240_000 }, async () => {
    const name = `cut-off-${process.pid}`;
    const servers = await ServerCluster.start(binary);
    let fleet: Fleet | undefined;
    let watch: Watch | undefined;
    try {
      // Nobody answers at the second address, so that all begin at the first server. It tells them of the others.
      const addresses = `${servers.server("server-1").url},nats://127.0.0.1:${await freePort()}`;
      fleet = await Fleet.start({ servers: addresses, name, controllers: 3, agents: 2, replicas: 3, proxy: true });
      const { client } = fleet;
      const port = await freePort();
      await client.change("_", "manifest", "apply", {
        documents: [web(serving, { replicas: 2 }), service(serving, port)],
      });
      const areReady = async (count: number): Promise<boolean> => {
        const pods = (await fleet?.pods()) ?? [];
        return pods.length === count && pods.every(({ status }) => status.state === "ready");
      };
      await until("all is ready", () => areReady(2));
      await servers.whole(client.bus);
      const programs = fleet.running(serving);
      watch = new Watch(name);
      const requests = load(port, 1, 20);

      servers.cutOffFirst();
      const cutAt = Date.now();
      const left = (): number => cutAt + movedMs - Date.now();
      // The leader is asked nothing that would show it that it is alone.
      await new Promise<void>((resolve) => {
        client.bus.onState((state) => state === "connected" && resolve());
        client.bus.elsewhere();
      });
      const scale = { name: serving, replicas: 3 };
      await until(
        "a change goes through",
        async () => client.change("default", "workload", "scale", scale),
        left(),
        500,
      );
      console.log(`changes went on within ${Date.now() - cutAt} ms`);
      await until("all that was wanted runs", () => areReady(3), left());
      console.log(`and were carried out within ${Date.now() - cutAt} ms`);
      await until("the proxy uses the new pod", async () => (await spread(port, 12)).size === 3, left());
      console.log(`and by the proxy within ${Date.now() - cutAt} ms`);

      const { failed } = await requests.stop();
      expect(failed).toEqual([]);
      expect(fleet.running(serving)).toMatchObject(programs);
      expect(watch.doubled).toEqual([]);
    } finally {
      watch?.stop();
      await fleet?.dispose();
      await servers.dispose();
    }
  });
});
