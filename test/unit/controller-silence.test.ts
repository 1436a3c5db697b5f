// A leader that cannot hear anybody for a while takes nobody's silence for an answer: a whole controller over the simulated bus.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { respond } from "../../services/bus/respond.ts";
import type { Controller } from "../../services/controller/controller.ts";
import { facts, serviceManifest, workloadManifest } from "../support/core.ts";
import { fresh } from "../support/bus-world.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import type { Client } from "../support/sim-bus-world.ts";
import { startSimController } from "../support/sim-controllers.ts";

const decoder = new TextDecoder();
const alone = {
  apiVersion: "swain/v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { ports: [{ port: 8080, targetPort: "http" }] },
};

let world: SimWorld;
let leader: Client;
let other: Client;
let node: Bus;
let controller: Controller;
/** Reports of the agent. */
let said = 0;
beforeEach(async () => {
  world = await SimWorld.open();
  leader = await world.client(undefined, "controller c1");
  other = await world.client();
  controller = await startSimController(world, leader, "c1");
  await world.time.pass(5000);
});
afterEach(() => world.time.until(controller.stop()));

async function ask<T>(namespace: string, resource: string, verb: string, body: unknown): Promise<T> {
  const answer = other.bus.request(names.api(namespace, resource, verb), body, { timeoutMs: 2000 });
  return (await answer).json() as T;
}

async function apply(...documents: unknown[]): Promise<void> {
  const body = { operation: `operation-${fresh()}`, documents };
  expect(await world.time.until(ask("_", "manifest", "apply", body))).toHaveProperty("sequence");
}

const register = (): Promise<unknown> =>
  ask("default", "endpoint", "register", {
    service: "web",
    name: "outside-1",
    addresses: [{ name: "http", host: "127.0.0.1", port: 9001 }],
    ttl: "5s",
  });

/** The log's events that say this. */
async function events(text: string): Promise<string[]> {
  const found: string[] = [];
  const bus: Bus = (await world.client()).bus;
  await world.time.until(bus.log(names.stream).read(1, ({ data }) => void found.push(decoder.decode(data))));
  return found.filter((event) => event.includes(text));
}

/** A node whose agent answers. */
async function startNode(): Promise<void> {
  const { bus } = await world.client(undefined, "agent n1", names.node.inbox("n1"));
  node = bus;
  const [first = "{}"] = await events("");
  const { logId } = JSON.parse(first) as { logId: string };
  const beat = { bootId: "b", logId, generation: 0, facts: facts() };
  const say = (): void => bus.publish(names.node.heartbeat("n1"), beat);
  other.clock.every(500, say);
  bus.subscribe(names.node.command("n1", "ping"), (message) => {
    respond(bus, message, names.node.inbox("n1"), { logId, held: 0 });
  });
  say();
  await world.time.pass(1000);
}

/** Says that these pods are ready. */
async function report(...pods: readonly string[]): Promise<void> {
  await world.time.until(sayOf(await logId(), "ready", pods));
}

async function logId(): Promise<string> {
  const [first = "{}"] = await events("");
  return (JSON.parse(first) as { logId: string }).logId;
}

/** The agent's word on these pods. */
function sayOf(log: string, state: "ready" | "backoff", pods: readonly string[]): Promise<unknown> {
  const addresses = [{ name: "http", containerPort: 80, host: "127.0.0.1", hostPort: 30_000 }];
  const observed = { reason: "", message: "", restarts: 0, addresses };
  const items = pods.map((name) => ({ namespace: "default", name, state, observed }));
  const body = { bootId: "b", sequence: ++said, logId: log, pods: items };
  return node.request(names.node.report("n1"), body, { timeoutMs: 5000 });
}

/** A proxy that has read half a second ago what the whole log says; returns what keeps it from reading more. */
function startProxy(open: Readonly<Record<string, number>>): () => void {
  let sequence = 0;
  let isTold = true;
  const read = async (): Promise<void> => {
    const { last } = await other.bus.log(names.stream).tail();
    if (isTold) sequence = last;
  };
  other.clock.every(500, () => {
    const services = { "default/web": { head: sequence, 0: sequence } };
    other.bus.publish(names.proxy.heartbeat("p1"), { bootId: "b", services, open });
    void read().catch(() => {});
  });
  return () => {
    isTold = false;
  };
}

/** Two pods are ready behind their service, and a proxy has so many connections to them; returns what keeps it from reading more. */
async function serveTwo(spec: object, open: Readonly<Record<string, number>>): Promise<() => void> {
  await startNode();
  const stopReading = startProxy(open);
  await apply(workloadManifest("web", { ...spec, replicas: 2 }), serviceManifest("web"));
  await world.time.pass(1000);
  await report("web-1", "web-2");
  await world.time.pass(2000);
  return stopReading;
}

/** What keeps the leader from hearing anybody for eight seconds. */
const outages: Record<string, () => Promise<void>> = {
  "the server is killed": async () => {
    world.server.kill();
    await world.time.pass(8000);
    world.server.start();
  },
  "the server stands still, and no connection breaks": async () => {
    world.server.freeze();
    await world.time.pass(8000);
    world.server.thaw();
  },
  "nothing reaches the leader": async () => {
    leader.link.down = false;
    await world.time.pass(8000);
    leader.link.down = true;
  },
  "nothing that the leader sends arrives": async () => {
    leader.link.up = false;
    await world.time.pass(8000);
    leader.link.up = true;
  },
};

describe.each(Object.entries(outages))("while %s", (_, outage) => {
  it("an external endpoint stays that renews each half second", async () => {
    await apply(alone);
    await world.time.until(register());
    const stop = other.clock.every(500, () => void register().catch(() => {}));
    await world.time.pass(2000);
    await outage();
    await world.time.pass(6000);
    expect(await events("EXPIRED")).toEqual([]);
    stop();
    await world.time.pass(9000);
    expect(await events("EXPIRED")).toHaveLength(1);
  });

  it("a pod that drains keeps its connections", async () => {
    const spec = { drainTimeout: "120s" };
    await serveTwo(spec, { "default/web-1": 5, "default/web-2": 5 });
    await apply(workloadManifest("web", { ...spec, replicas: 1 }));
    await world.time.pass(2000);
    expect(await events('"drain":true')).toHaveLength(1);
    await outage();
    await world.time.pass(6000);
    expect(await events('"drained"')).toEqual([]);
  });
});

it("connections have their whole time from when the log says that their pod is to stop, however late it does", async () => {
  const spec = { drainTimeout: "5s" };
  await serveTwo(spec, { "default/web-1": 5, "default/web-2": 5 });
  // Two writes of it are lost and get no answer, each for two seconds.
  const isStop = (data: Uint8Array): boolean => decoder.decode(data).includes('"drain":true');
  for (let count = 0; count < 2; count++) world.server.hideOutcome("lost", names.stream, isStop);
  await apply(workloadManifest("web", { ...spec, replicas: 1 }));
  await world.time.pass(3900);
  expect(await events('"drain":true')).toEqual([]);
  await world.time.pass(1000);
  expect(await events('"drain":true')).toHaveLength(1);
  await world.time.pass(3000);
  expect(await events('"drained"')).toEqual([]);
  await world.time.pass(3000);
  expect(await events('"drained"')).toHaveLength(1);
});

it("a proxy that could not be told keeps the pods it knows, and has its time once it was", async () => {
  const stopReading = await serveTwo({}, {});
  stopReading();
  // Ten writes are lost and get no answer, each for some seconds.
  for (let count = 0; count < 10; count++) world.server.hideOutcome("lost", `KV_${names.buckets.endpoints}`);
  await apply(workloadManifest("web", { replicas: 1 }));
  await world.time.pass(40_000);
  expect(await events('"drain":true')).toHaveLength(1);
  expect(await events('"drained"')).toEqual([]);
  let waited = 0;
  while ((await events('"drained"')).length === 0 && waited < 120_000) {
    await world.time.pass(1000);
    waited += 1000;
  }
  expect(await events('"PROXY_NOT_ACKED"')).toHaveLength(1);
  const [value = ""] = [...world.server.keys.values(names.buckets.endpoints)].flatMap(([key, each]) =>
    key === "default.web.0" ? [each] : [],
  );
  expect(value).not.toContain("web-2");
});

it("a proxy that could not be told keeps the pods it knows also where their service changes now and then", async () => {
  const stopReading = await serveTwo({}, {});
  stopReading();
  for (let count = 0; count < 100; count++) world.server.hideOutcome("lost", `KV_${names.buckets.endpoints}`);
  await apply(workloadManifest("web", { replicas: 1 }));
  await apply({ ...alone, metadata: { name: "busy" } });
  const change = (service: string): void => {
    port += 1;
    const addresses = [{ name: "http", host: "127.0.0.1", port }];
    void ask("default", "endpoint", "register", { service, name: "outside", addresses, ttl: "60s" }).catch(() => {});
  };
  let port = 9001;
  const stops = [other.clock.every(4700, () => change("web")), other.clock.every(300, () => change("busy"))];
  await world.time.pass(60_000);
  for (const stop of stops) stop();
  expect(await events('"drained"')).toEqual([]);
});

it("a leader that stood still takes that time off before it plans, whichever of its timers comes first", async () => {
  await apply(alone);
  for (let turn = 0; turn < 5; turn++) {
    await world.time.pass(60);
    await world.time.until(register());
    // The planner's timer is the next one, mostly; the guard's comes each quarter of a second.
    await world.time.pass(4990);
    leader.clock.pause();
    await world.time.pass(6000);
    await leader.clock.resumeInOrder();
    await world.time.until(register());
    await world.time.pass(1000);
    expect(await events("EXPIRED")).toEqual([]);
  }
});

it.each([1, 3])(
  "a program that renews while its removal is under way is there when it is told so, also at try %i",
  async (tries) => {
    await apply(alone);
    await world.time.until(register());
    world.server.hideOutcome("stored", names.stream, (data) => decoder.decode(data).includes("EXPIRED"));
    await world.time.pass(5200);
    const answers: Promise<unknown>[] = [];
    for (let at = 0; at < tries; at++) {
      answers.push(register());
      await world.time.pass(200);
    }
    await world.time.pass(3000);
    expect(await Promise.all(answers)).toMatchObject(
      Array.from({ length: tries }, (_, at) => ({ results: [{ action: at === 0 ? "created" : "unchanged" }] })),
    );
    expect((await events('"endpoint"')).at(-1)).toContain('"registered"');
    expect(await events("EXPIRED")).toHaveLength(1);
  },
);

it("a program that renews while its service is being deleted is not told that it is there", async () => {
  await apply(alone);
  await world.time.until(register());
  world.server.hideOutcome("stored", names.stream, (data) => decoder.decode(data).includes('"deleted"'));
  const operation = `operation-${fresh()}`;
  const deleting = ask("default", "service", "delete", { name: "web", operation }).catch(() => {});
  await world.time.pass(200);
  const renewing = register();
  await world.time.pass(3000);
  await deleting;
  expect(await renewing).toMatchObject({ error: { code: "NOT_FOUND" } });
});

it("a server that stands still for a second again and again keeps nothing from being placed", async () => {
  await startNode();
  startProxy({});
  await apply(workloadManifest("web", { replicas: 2 }), serviceManifest("web"));
  await world.time.pass(1000);
  await report("web-1", "web-2");
  await world.time.pass(2000);
  const stalls = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) {
      world.server.freeze();
      await world.time.pass(1300);
      world.server.thaw();
      await world.time.pass(1000);
    }
  };
  await stalls(2);
  // Its pod has left the endpoints, and whether it may be stopped follows from who is heard.
  await apply(workloadManifest("web", { replicas: 1 }));
  await stalls(2);
  await apply(workloadManifest("other"));
  await stalls(20);
  expect(await events('"name":"other-3"')).toHaveLength(1);
});

it("a new pod that nothing checks has not shown that it works while nobody can be heard", async () => {
  const web = (image: string): unknown => workloadManifest("web", { containers: [{ name: "main", image }] });
  await startNode();
  await apply(web("app:1"));
  await world.time.pass(1000);
  await report("web-1");
  await world.time.pass(5000);
  await apply(web("app:2"));
  await world.time.pass(1000);
  const log = await logId();
  await world.time.until(sayOf(log, "ready", ["web-2"]));
  // It ends half a second later, and that does not get through for a while.
  await world.time.pass(300);
  world.server.freeze();
  await world.time.pass(200);
  const ended = sayOf(log, "backoff", ["web-2"]);
  await world.time.pass(3000);
  world.server.thaw();
  await world.time.until(ended);
  await world.time.pass(5000);
  expect(await events('"verb":"stopping"')).toEqual([]);
});

describe.each(Object.entries(outages))("while %s", (_, outage) => {
  it("a template change that makes progress is not halted", async () => {
    const web = (image: string): unknown =>
      workloadManifest("web", { progressDeadline: "10s", containers: [{ name: "main", image }] });
    await startNode();
    await apply(web("app:1"));
    await world.time.pass(1000);
    await report("web-1");
    await world.time.pass(5000);
    await apply(web("app:2"));
    await world.time.pass(3000);
    // It becomes ready half a second later, and its agent says so until it is answered.
    const log = await logId();
    let isTold = false;
    const say = async (): Promise<void> => {
      if (!isTold) await sayOf(log, "ready", ["web-2"]);
      isTold = true;
    };
    other.clock.every(500, () => void say().catch(() => {}));
    await outage();
    await world.time.pass(6000);
    expect(isTold).toBe(true);
    expect(await events('"halted"')).toEqual([]);
  });
});
