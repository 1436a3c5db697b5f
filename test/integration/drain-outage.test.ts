// The server is away while a pod's connections have two minutes to end.
import { afterEach, beforeEach, expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";

const subjects = subjectsOf("test");
const decoder = new TextDecoder();

/** Waits until so much time is over, for something that must not happen meanwhile. */
function passed(ms: number): Promise<true> {
  const since = performance.now();
  return until(`${ms} ms`, () => performance.now() - since > ms);
}

describeServers("a pod that drains", (binary) => {
  let world: RealWorld;
  let bus: Bus;

  beforeEach(async () => {
    world = await openWorld(binary);
    bus = await world.connect();
  });
  afterEach(() => world.close());

  /** Items of the log's events, as text. */
  async function items(): Promise<string[]> {
    const found: string[] = [];
    await bus.log(subjects.stream).read(1, ({ data }) => void found.push(decoder.decode(data)));
    return found;
  }

  it("drains on when the server is back, whatever time it was away", async () => {
    await startTestController(world, "c1");
    const client = new TestClient(bus, "test");
    await client.leader();
    const agent = await TestAgent.start(world, "n1");
    const web = (replicas: number): unknown => workloadManifest("web", { replicas, drainTimeout: "120s" });
    await client.apply([web(2), serviceManifest("web")]);
    await until("two pods", () => agent.pods.size === 2);
    // A proxy in good health, which carries connections to each pod. Nobody could tell it of the drain before the server was away.
    const open = { "default/web-1": 5, "default/web-2": 5 };
    let sequence = 0;
    let isTold = true;
    const beat = async (): Promise<void> => {
      if (bus.state() !== "connected") return;
      const services = { "default/web": { head: sequence, 0: sequence } };
      bus.publish(subjects.proxy.heartbeat("p1"), { bootId: "b", services, open });
      if (!isTold) return;
      sequence = await bus
        .log(subjects.stream)
        .tail()
        .then(
          ({ last }) => last,
          () => sequence,
        );
    };
    const beating = setInterval(() => void beat(), 500);
    try {
      await until("it is heard", async () => (await client.status())["proxies"] === 1);
      isTold = false;
      await client.apply([web(1)]);
      await until("one drains", async () => (await items()).some((event) => event.includes('"drain":true')));
      await world.server.kill();
      await passed(limits.proxyAckMs + 500);
      await world.server.start();
      // What is asked for now is planned with the rest.
      await until("the leader is back", () =>
        client.apply([workloadManifest("next")]).then(
          () => true,
          () => false,
        ),
      );
      await until("it has planned", async () => (await items()).some((event) => event.includes('"next-')));
      // Long enough to have heard everybody, and not to have told them.
      await passed(4000);
      expect((await items()).filter((event) => event.includes('"drained"'))).toEqual([]);
    } finally {
      clearInterval(beating);
    }
  });
});
