// A bucket is deleted while controllers run.
import { afterEach, beforeEach, expect, it } from "vitest";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import type { TestController } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServer } from "../support/nats.ts";

const { buckets } = subjectsOf("test");
/** It is noticed at the latest when its reader has been silent for some seconds. */
const againMs = 20_000;

describeServer("current", "a bucket that is deleted while controllers run", (binary) => {
  let world: RealWorld;
  let agent: TestAgent | undefined;
  const running: TestController[] = [];
  beforeEach(async () => {
    world = await openWorld(binary);
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map(({ controller }) => controller.stop()));
    await agent?.vanish();
    await world.close();
  });

  it(
    "is made and written again, by a change, a rebuild, a new leader, and by itself",
    { timeout: 120_000 },
    async () => {
      running.push(await startTestController(world, "c1"));
      const bus = await world.connect();
      const client = new TestClient(bus, "test");
      await client.leader();
      running.push(await startTestController(world, "c2"));
      agent = await TestAgent.start(world, "n1");
      await client.apply([workloadManifest("web", { replicas: 2 }), serviceManifest("web")]);
      const bucket = bus.bucket(buckets.endpoints);
      const value = (): Promise<string> =>
        bucket.get("default.web.0").then(
          (entry) => entry?.value ?? "",
          () => "",
        );
      const tells = (pod: string) => until(`${pod} is told`, async () => (await value()).includes(pod), againMs);
      const remove = async (): Promise<void> => {
        await bus.request(`$JS.API.STREAM.DELETE.KV_${buckets.endpoints}`, undefined, { timeoutMs: 5000 });
      };
      await tells("web-2");
      await remove();
      await tells("web-2");
      await remove();
      await client.apply([workloadManifest("web", { replicas: 3 })]);
      await tells("web-3");
      await remove();
      await client.ask("_", "cluster", "rebuild", {});
      await tells("web-3");
      await remove();
      await running.shift()?.controller.stop();
      await tells("web-3");
      expect((await value()).includes("web-1")).toBe(true);
    },
  );
});
