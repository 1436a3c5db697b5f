// One of three servers is cut off from the others, and answers its clients as if nothing were. The parts connected to it must
// find the way to the others: an agent before its node is given up, and where all are there, a leader that leads nothing.
import { expect, it } from "vitest";
import type { Accepted, ApiError, EventItem, LeaderBeat } from "../../schemas/generated/types.ts";
import type { Bus } from "../../services/bus/port.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";
import { connectTo } from "../support/bus.ts";
import { until } from "../support/cluster.ts";
import { Watch } from "../support/census.ts";
import { Fleet, unserved } from "../support/fleet.ts";
import { load, spread } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { describeServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";
import { ServerCluster } from "../support/server-cluster.ts";

/** Other tests end processes by the name of their pod: no other has pods of this name. */
const serving = "beside";
/** Until the server notices, until the leader does, until the parts do, and an election. */
const movedMs = 100_000;
/** A proxy has long left by itself when the leader is back. */
const proxyMs = 15_000;
/** No other server leads the log sooner, and nobody else the cluster. */
const soonestMs = 4000;
/** A node is given up after 15 s. */
const watchedMs = 20_000;

/** Nobody answers at the second address, so that all begin at that server. It tells them of the others. */
const at = async (servers: ServerCluster, name: string): Promise<string> =>
  `${servers.server(name).url},nats://127.0.0.1:${await freePort()}`;

describeServer("current", "a server that is cut off from two others", (binary) => {
  it("is left by all parts, and no program notices", { timeout: 240_000 }, async () => {
    const name = `cut-off-${process.pid}`;
    const servers = await ServerCluster.start(binary);
    let fleet: Fleet | undefined;
    let watch: Watch | undefined;
    try {
      const addresses = await at(servers, "server-1");
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
      await until("the proxy uses the new pod", async () => (await spread(port, 12)).size === 3, proxyMs);
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

  it(
    "costs a node connected to it none of its pods, where the leader is at another",
    { timeout: 120_000 },
    async () => {
      const servers = await ServerCluster.start(binary);
      let fleet: Fleet | undefined;
      try {
        const name = `cut-off-node-${process.pid}`;
        fleet = await Fleet.start({
          servers: await at(servers, "server-2"),
          name,
          controllers: 1,
          agents: 1,
          replicas: 3,
        });
        await fleet.agent("node-2", await at(servers, "server-1"));
        const { client } = fleet;
        await until("both nodes are there", async () => (await client.list("_", "node")).length === 2);
        await client.change("_", "manifest", "apply", { documents: [web(serving, { replicas: 2 })] });
        await until("a pod is ready on each", async () => {
          const pods = (await fleet?.pods()) ?? [];
          const nodes = new Set(pods.map(({ spec }) => spec.node));
          return nodes.size === 2 && pods.every(({ status }) => status.state === "ready");
        });
        await servers.whole(client.bus);
        const programs = fleet.running(serving);
        const before = fleet.records.length;

        servers.cutOffFirst();
        await new Promise((resolve) => setTimeout(resolve, watchedMs));
        // The agent's second connection was at that server, too.
        let measured = 0;
        client.bus.subscribe(client.subjects.node.metrics("node-2"), () => (measured += 1));
        await until("what it measures is told", async () => measured > 0);
        const happened = (): EventItem[] => fleet?.records.slice(before).flatMap(({ event }) => [...event.items]) ?? [];
        const verbs = (): string[] => happened().map(({ kind, verb }) => `${kind} ${verb}`);
        // What is read here may come from the server that is cut off, and a while later from another.
        await until("the node is back", async () => verbs().includes("node ready"));
        expect(verbs(), "the node was silent for a while").toContain("node unknown");
        expect(happened().filter(({ kind }) => kind === "pod")).toEqual([]);
        expect(fleet.running(serving)).toEqual(programs);

        // By chance, which server each begins with.
        const urls = ["server-1", "server-2"].map((name) => servers.server(name).url).join(",");
        for (const id of ["node-3", "node-4", "node-5"]) await fleet.agent(id, urls);
        await until(
          "agents that begin there are known, too",
          async () => (await client.list("_", "node")).length === 5,
        );
      } finally {
        await fleet?.dispose();
        await servers.dispose();
      }
    },
  );

  it(
    "lets the leader connected to it tell nobody that a change is made already, once it was followed by another",
    { timeout: 120_000 },
    async () => {
      const servers = await ServerCluster.start(binary);
      let fleet: Fleet | undefined;
      let elsewhere: Bus | undefined;
      try {
        const name = `cut-off-leader-${process.pid}`;
        const addresses = await at(servers, "server-1");
        fleet = await Fleet.start({ servers: addresses, name, controllers: 1, agents: 0, replicas: 3 });
        const { client } = fleet;
        await fleet.mark("kept", 9000);
        // So that the server that is cut off goes on for a while to tell the log's end.
        await servers.lead(client.bus, client.subjects.stream, "server-1");
        await fleet.controller("controller-2", servers.server("server-2").url);
        await servers.whole(client.bus);
        elsewhere = await connectTo(servers.server("server-3").url);
        let followedAt = Infinity;
        elsewhere.subscribe(client.subjects.leader, (message) => {
          if ((message.json() as LeaderBeat).leader !== "controller-1") followedAt = Math.min(followedAt, Date.now());
        });
        await elsewhere.flush(5000);

        const answers: { askedAt: number; code: string }[] = [];
        const again = async (): Promise<void> => {
          const askedAt = Date.now();
          const request = { operation: systemIds.next(), documents: [unserved("kept", 9000)] };
          const subject = client.subjects.api("_", "manifest", "apply");
          const reply = (await client.bus.request(subject, request, { timeoutMs: 3000 })).json();
          const { error, results } = reply as Partial<ApiError & Accepted>;
          answers.push({ askedAt, code: error?.code ?? results?.[0]?.action ?? "" });
        };
        await until("it is made already", async () => (await again(), answers.at(-1)?.code === "unchanged"));
        servers.cutOffFirst();
        const cutAt = Date.now();
        await until(
          "somebody else has led for a while, and the first leader was asked nevertheless",
          async () => {
            await again().catch(() => {});
            return Date.now() > followedAt + 3000 && answers.some(({ askedAt }) => askedAt > followedAt);
          },
          60_000,
          100,
        );
        console.log(`followed after ${followedAt - cutAt} ms`);
        expect(followedAt).toBeGreaterThan(cutAt + soonestMs);
        const late = answers.filter(({ askedAt }) => askedAt > cutAt + soonestMs).map(({ code }) => code);
        expect(new Set(late)).toEqual(new Set(["BUSY"]));
      } finally {
        await elsewhere?.close();
        await fleet?.dispose();
        await servers.dispose();
      }
    },
  );
});
