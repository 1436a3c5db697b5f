// A program that no node runs serves behind a service, as long as it says that it lives.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Accepted, ApiError, EndpointObject, Feed, ServiceObject } from "../../schemas/generated/types.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import type { TestController } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { ask, cleanups, portOf, proxyOf, web } from "../support/proxy.ts";

const program = `const s = require("node:net").createServer((c) => { c.on("error", () => {}); c.write(process.argv[1] + "\\n"); c.pipe(c); });
s.listen(0, "127.0.0.1", () => console.log(s.address().port));`;

/** A process of its own that says its name to whoever connects; returns its port. */
async function startProgram(name: string): Promise<number> {
  const child = spawn(process.execPath, ["-e", program, name], { stdio: ["ignore", "pipe", "inherit"] });
  cleanups.push(() => child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return Number(line.toString().trim());
}

const alone = {
  apiVersion: "swain/v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { ports: [{ port: 8080, targetPort: "http" }] },
};
const ttlMs = 5000;

describeServers("external endpoints", (binary) => {
  let world: RealWorld;
  let client: TestClient;
  const controllers: TestController[] = [];

  const controller = async (id: string): Promise<TestController> => {
    const started = await startTestController(world, id);
    controllers.push(started);
    return started;
  };
  const register = (name: string, port: number, over: object = {}): Promise<Accepted & Partial<ApiError>> =>
    client.ask("default", "endpoint", "register", {
      service: "web",
      name,
      addresses: [{ name: "http", host: "127.0.0.1", port }],
      ttl: "5s",
      ...over,
    });
  const served = async (): Promise<number> =>
    (await client.list<ServiceObject>("service", "default"))[0]?.status.endpoints ?? 0;
  const proxy = async (): Promise<number> =>
    portOf(await proxyOf(world.server.url, { services: web, cluster: world.cluster }));

  beforeEach(async () => {
    world = await openWorld(binary);
    client = new TestClient(await world.connect(), world.cluster);
    await controller("c1");
    await client.leader();
  });

  afterEach(async () => {
    await Promise.all(controllers.splice(0).map((each) => each.controller.stop()));
    await world.close();
  });

  it("serves through a proxy while it renews, costs no event for it, and is gone soon after its ttl", async () => {
    await client.apply([alone]);
    const feed: Feed[] = [];
    client.bus.subscribe(client.subjects.feed("default", "endpoint", "*", "*"), (message) =>
      feed.push(message.json() as Feed),
    );
    const program1 = await startProgram("outside-1");
    expect((await register("outside-1", program1)).results[0]?.action).toBe("created");
    const port = await proxy();
    await until("the program answers", async () => (await ask(port)) === "outside-1");
    const { sequence } = await client.ask<Accepted>("_", "cluster", "status", {});
    const began = Date.now();
    let renewed = began;
    while (Date.now() - began < ttlMs + 2000) {
      expect((await register("outside-1", program1)).results[0]?.action).toBe("unchanged");
      renewed = Date.now();
      expect(await ask(port)).toBe("outside-1");
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect((await client.ask<Accepted>("_", "cluster", "status", {})).sequence).toBe(sequence);
    await until("the proxy lets it go", async () => (await ask(port)) === "closed");
    expect(Date.now() - renewed).toBeGreaterThanOrEqual(ttlMs);
    expect(Date.now() - renewed).toBeLessThan(ttlMs + 3000);
    expect(feed.map(({ type }) => type)).toEqual(["swain.endpoint.registered", "swain.endpoint.removed"]);
    expect(feed[1]?.data).toMatchObject({ service: "web", reason: "EXPIRED" });
    expect(await client.list("endpoint")).toEqual([]);
  });

  it("stands beside pods, moves when it says another address, and goes when it deregisters or its service does", async () => {
    const agent = await TestAgent.start(world, "n1");
    await until("the node", async () => (await client.list("node")).length === 1);
    await client.apply([workloadManifest("web", { replicas: 2 }), serviceManifest("web")]);
    await until("two pods serve", async () => (await served()) === 2);
    await register("outside-1", 9001);
    expect(await served()).toBe(3);
    expect((await register("outside-1", 9002)).results[0]?.action).toBe("configured");
    const [endpoint] = await client.list<EndpointObject>("endpoint", "default");
    expect(endpoint?.spec).toMatchObject({ service: "web", ttlMs, addresses: [{ port: 9002 }] });
    const bucket = client.bus.bucket(client.subjects.buckets.endpoints);
    await until("it is in the service's endpoints", async () =>
      ((await bucket.get("default.web.0"))?.value ?? "").includes('"hostPort":9002'),
    );
    const body = { service: "web", name: "outside-1" };
    await client.ask("default", "endpoint", "deregister", body);
    expect(await served()).toBe(2);
    const again = await client.ask<ApiError>("default", "endpoint", "deregister", body);
    expect(again.error.code).toBe("NOT_FOUND");
    await register("outside-2", 9003);
    await client.ask("default", "service", "delete", { operation: "delete-web", name: "web" });
    expect(await client.list("endpoint")).toEqual([]);
    await agent.vanish();
  });

  it("has its whole ttl again after a takeover", async () => {
    await client.apply([alone]);
    await register("outside-1", 9001);
    const registered = Date.now();
    await controller("c2");
    await until("most of the ttl is over", () => Date.now() - registered > ttlMs - 1000);
    await controllers[0]?.controller.stop();
    expect(await client.leader()).toBe("c2");
    const taken = Date.now();
    await until("the old deadline is well over", () => Date.now() - registered > ttlMs + 1500);
    expect(await served()).toBe(1);
    await until("it expires all the same", async () => (await served()) === 0);
    expect(Date.now() - taken).toBeGreaterThan(ttlMs - 1000);
  });

  it("refuses what could never serve, with the reason", async () => {
    await client.apply([alone]);
    const code = async (over: object): Promise<string | undefined> => (await register("x", 9001, over)).error?.code;
    expect(await code({ service: "other" })).toBe("NOT_FOUND");
    expect(await code({ ttl: "4s" })).toBe("INVALID_REQUEST");
    expect(await code({ ttl: "11m" })).toBe("INVALID_REQUEST");
    expect(await code({ addresses: [{ name: "https", host: "127.0.0.1", port: 1 }] })).toBe("INVALID_REQUEST");
    expect(await code({ addresses: [{ name: "http", host: "a b", port: 1 }] })).toBe("INVALID_REQUEST");
    expect(await code({ name: "No-Name" })).toBe("INVALID_REQUEST");
    const many = await Promise.all(Array.from({ length: 500 }, (_, index) => register(`x${index}`, 9001)));
    expect(many.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(await code({ name: "one-more" })).toBe("TOO_MANY_ENDPOINTS");
    expect(await served()).toBe(500);
  });
});
