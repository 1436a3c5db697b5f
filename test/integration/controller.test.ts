import { afterEach, beforeEach, expect, it } from "vitest";
import type { ApiError, Feed, ListReply, PodObject, WorkloadObject } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Bus, LogStore } from "../../services/bus/port.ts";
import type { Context } from "../../services/controller/ports.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import type { Logger, LogFields } from "../../services/kernel/log.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import type { TestController } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";

describeServers("a controller", (binary) => {
  let world: RealWorld;
  let client: TestClient;
  const controllers: TestController[] = [];
  const agents: TestAgent[] = [];

  const controller = async (id: string, over: Partial<Context> = {}): Promise<TestController> => {
    const started = await startTestController(world, id, over);
    controllers.push(started);
    return started;
  };
  const agent = async (id: string): Promise<TestAgent> => {
    const started = await TestAgent.start(world, id);
    agents.push(started);
    return started;
  };
  const ready = (count: number): Promise<PodObject[]> =>
    until(`${count} ready pods`, async () => {
      const pods = await client.list<PodObject>("pod").catch(() => []);
      return pods.length === count && pods.every(({ status }) => status.state === "ready") ? pods : undefined;
    });

  beforeEach(async () => {
    world = await openWorld(binary);
    client = new TestClient(await world.connect(), world.cluster);
  });

  afterEach(async () => {
    await Promise.all(controllers.splice(0).map(({ controller }) => controller.stop()));
    await Promise.all(agents.splice(0).map((agent) => agent.vanish()));
    await world.close();
  });

  it("elects itself on an empty log within a second and a half", async () => {
    await controller("c1");
    expect(await client.leader(1500)).toBe("c1");
    const { items } = await client.ask<{ items: Feed[] }>("_", "event", "list", {});
    expect(items.map(({ type }) => type)).toEqual(["swain.cluster.created", "swain.leader.elected"]);
  });

  it("brings an applied workload to agents, endpoints and the feed", async () => {
    await controller("c1");
    const [n1, n2] = await Promise.all([agent("n1"), agent("n2")]);
    await client.leader();
    const feed: string[] = [];
    client.bus.subscribe(client.subjects.feedAll, (message) => feed.push(message.subject));
    await until("two nodes", async () => (await client.list("node")).length === 2);
    const accepted = await client.apply([workloadManifest("web", { replicas: 4 }), serviceManifest("web")]);
    expect(accepted.results.map(({ action }) => action)).toEqual(["created", "created"]);
    await ready(4);
    expect(n1?.pods.size).toBe(2);
    expect(n2?.pods.size).toBe(2);
    const bucket = client.bus.bucket(client.subjects.buckets.endpoints);
    await until("four endpoints in KV", async () => {
      const value = (await bucket.get("default.web.0"))?.value ?? "{}";
      return (JSON.parse(value) as { endpoints?: unknown[] }).endpoints?.length === 4;
    });
    expect(feed.filter((subject) => subject.endsWith(".ready"))).toHaveLength(4);
    await client.ask("default", "workload", "scale", { operation: "scale-to-1", name: "web", replicas: 1 });
    await ready(1);
    await until("one pod left at the agents", () => (n1?.pods.size ?? 0) + (n2?.pods.size ?? 0) === 1);
  });

  it("answers a repeated operation as before and changes nothing more, also after a takeover", async () => {
    const first = await controller("c1");
    await client.leader();
    const once = await client.apply([workloadManifest("web")], "operation-1");
    const twice = await client.apply([workloadManifest("web", { replicas: 7 })], "operation-1");
    expect(twice).toEqual(once);
    await controller("c2");
    await first.controller.stop();
    expect(await client.leader()).toBe("c2");
    const again = await client.apply([workloadManifest("web", { replicas: 7 })], "operation-1");
    expect(again.sequence).toBe(once.sequence);
    const [workload] = await client.list<{ spec: { replicas: number } }>("workload");
    expect(workload?.spec.replicas).toBe(1);
  });

  it("lets a standby take over when the leader vanishes, and again at once when it resigns", async () => {
    const c1 = await controller("c1");
    await client.leader();
    const c2 = await controller("c2");
    const n1 = await agent("n1");
    await until("the node", async () => (await client.list("node")).length === 1);
    await client.apply([workloadManifest("web", { replicas: 3 })]);
    await ready(3);
    await c1.bus.close();
    await expect(c1.controller.closed).rejects.toMatchObject({ code: "BUS_CLOSED" });
    await client.apply([workloadManifest("web", { replicas: 3 })]).catch(() => undefined);
    expect(await client.leader()).toBe("c2");
    await client.ask("default", "workload", "scale", { operation: "scale-up", name: "web", replicas: 5 });
    await ready(5);
    expect(n1.pods.size).toBe(5);
    await controller("c3");
    const stopped = Date.now();
    await c2.controller.stop();
    expect(await client.leader()).toBe("c3");
    // It did not wait for silence: that alone would take longer.
    expect(Date.now() - stopped).toBeLessThan(limits.leaderSilentMs);
    expect(await ready(5)).toHaveLength(5);
  });

  it("resigns also when it is told to stop in the middle of its writes", async () => {
    const bus = await world.connect({ name: "controller c1" });
    let stop: (() => Promise<void>) | undefined;
    let stopped: Promise<void> | undefined;
    const log: Bus["log"] = (stream) => {
      const store = bus.log(stream);
      const append: LogStore["append"] = async (...args) => {
        const answer = await store.append(...args);
        stopped ??= stop?.();
        return answer;
      };
      return Object.assign(Object.create(store) as LogStore, { append });
    };
    const c1 = await controller("c1", { bus: Object.assign(Object.create(bus) as Bus, { log }) });
    await client.leader();
    await controller("c2");
    await agent("n1");
    await until("the node", async () => (await client.list("node")).length === 1);
    const beats = client.beats();
    stop = () => c1.controller.stop();
    const at = Date.now();
    // What follows from it would be written in the same turn.
    await client.apply([workloadManifest("web", { replicas: 3 })]).catch(() => {});
    expect(await client.leader()).toBe("c2");
    expect(Date.now() - at).toBeLessThan(limits.leaderSilentMs);
    await stopped;
    expect(beats.some(({ resigned }) => resigned === true)).toBe(true);
    await ready(3);
  });

  it("counts and skips records it did not write, and goes on appending", async () => {
    const { counters } = await controller("c1");
    await client.leader();
    await client.apply([workloadManifest("web")]);
    const before = await client.list("workload");
    const { subjects } = client;
    client.bus.publish(subjects.event("workload", "default", "web", "applied"), { nonsense: true });
    client.bus.publish(subjects.event("pod", "default", "web-1", "ready"), new TextEncoder().encode("{not json"));
    await client.bus.flush(1000);
    const after = await client.apply([workloadManifest("other")]);
    expect(after.results[0]?.action).toBe("created");
    expect((await client.status())["foreign"]).toBe(2);
    expect(counters.foreign).toBe(2);
    expect(
      (await client.list<{ metadata: { name: string } }>("workload")).map(({ metadata }) => metadata.name),
    ).toEqual(["other", "web"]);
    expect(before).toHaveLength(1);
    expect(counters.terms).toBe(1);
    const { items } = await client.ask<{ items: Feed[] }>("_", "event", "list", {});
    expect(items.filter(({ type }) => type === "swain.workload.applied")).toHaveLength(2);
  });

  it("overwrites hand edits of projections, deletions and strays", async () => {
    const { counters } = await controller("c1");
    await client.leader();
    await client.apply([workloadManifest("web")]);
    const bucket = client.bus.bucket(client.subjects.buckets.workloads);
    const entry = await until("the projection", async () => (await bucket.get("default.web")) ?? undefined);
    const original = await until("a settled projection", async () => {
      const first = (await bucket.get("default.web"))?.value;
      await new Promise((resolve) => setTimeout(resolve, 200));
      const second = (await bucket.get("default.web"))?.value;
      return first !== null && first === second ? first : undefined;
    });
    expect(entry.value).not.toBeNull();
    const revision = async (): Promise<number> => (await bucket.get("default.web"))?.revision ?? 0;
    await bucket.put("default.web", '{"hand":"made"}', await revision());
    const restored = async (): Promise<boolean> => (await bucket.get("default.web"))?.value === original;
    await until("the edit to be overwritten", restored);
    await bucket.put("default.web", original.replace(/"sequence":\d+/, '"sequence":999999'), await revision());
    await until("the pretended future to be overwritten", restored);
    await bucket.remove("default.web", await revision());
    await until("the deletion to be undone", restored);
    await bucket.put("default.stray", "{}", 0);
    await until("the stray to go", async () => (await bucket.get("default.stray"))?.value === null);
    await expect.poll(() => counters.edited).toBe(4);
  });

  it("survives malformed messages on every subject it listens to", async () => {
    const { counters } = await controller("c1");
    await agent("n1");
    await client.leader();
    const { node, proxy, api, leader } = client.subjects;
    const subjects = [
      node.heartbeat("n1"),
      node.heartbeat("NOT A NAME".replaceAll(" ", "_")),
      node.report("n1"),
      node.sync("n1"),
      node.sync("unheard-of"),
      node.lease("n1"),
      proxy.heartbeat("p1"),
      proxy.metrics("p1"),
      leader,
      api("_", "manifest", "apply"),
      api("_", "pod", "list"),
      api("Bad_Namespace", "pod", "list"),
      api("default", "pod", "logs"),
      api("_", "nothing", "at-all"),
      `${client.subjects.root}.api.x`,
    ];
    const bodies = [
      "",
      "{",
      "null",
      "[]",
      "7",
      '"text"',
      '{"operation":1}',
      '{"documents":{}}',
      '{"__proto__":{"a":1}}',
      // All that a request of a node has, and what the answer repeats of it is more than a message holds.
      JSON.stringify({ bootId: "b", sequence: 1, generation: 0, pods: [], logId: "x".repeat(600_000) }),
    ];
    for (const subject of subjects) {
      for (const body of bodies) {
        const data = new TextEncoder().encode(body);
        client.bus.publish(subject, data);
        client.bus.publish(subject, data, { reply: `${client.bus.inboxPrefix}x` });
        client.bus.publish(subject, data, { reply: "swain.test.node.n1.cmd.assign" });
        client.bus.publish(subject, data, { reply: `${node.inbox("n1")}x` });
      }
    }
    await client.bus.flush(5000);
    const refused = await client.ask<ApiError>("_", "manifest", "apply", { documents: [] });
    expect(refused.error).toMatchObject({ code: "INVALID_REQUEST" });
    const unknown = await client.ask<ApiError>("_", "manifest", "aply", {});
    expect(unknown.error.message).toContain('did you mean "manifest.apply"');
    expect((await client.apply([workloadManifest("web")])).results[0]?.action).toBe("created");
    expect(counters.dropped).toBeGreaterThan(0);
    expect(counters.malformed).toBeGreaterThan(0);
    expect(counters.terms).toBe(1);
  });

  it("leaves out what fits no event, says so, and leads on", async () => {
    const errors: unknown[] = [];
    const log: Logger = { ...silent, error: (_: string, fields?: LogFields) => errors.push(fields), with: () => log };
    const { counters } = await controller("c1", { log });
    const [n1, n2] = [await agent("n1"), await agent("n2")];
    n1.obedient = false;
    await client.leader();
    await until("two nodes", async () => (await client.list("node")).length === 2);
    await client.apply([workloadManifest("web", { replicas: 2 })]);
    const pod = await until("an assigned pod", () => [...n1.pods.values()][0]);
    n2.facts = { ...n2.facts, hostname: "h".repeat(1_000_000) };
    n2.beat();
    const { namespace, name } = pod;
    // The event around it is larger than the message.
    const observed = { reason: "x".repeat(1_048_000), message: "", restarts: 0 };
    expect(await n1.report([{ namespace, name, state: "failed", observed }])).toMatchObject({ accepted: 1 });
    expect(errors).toEqual([{ code: "PAYLOAD_TOO_LARGE", cause: "report", kind: "pod", verb: "failed", name }]);
    await until("the dropped heartbeat", () => counters.dropped > 0);
    expect((await client.apply([workloadManifest("other")])).results[0]?.action).toBe("created");
    expect([counters.terms, counters.settled]).toEqual([1, 1]);
  });

  it("writes smaller events where the server takes only those", async () => {
    await world.close();
    world = await openWorld(binary, { config: "max_payload: 65536" });
    client = new TestClient(await world.connect(), world.cluster);
    const { counters } = await controller("c1");
    await agent("n1");
    await client.leader();
    await until("a node", async () => (await client.list("node")).length === 1);
    expect((await client.apply([workloadManifest("web", { replicas: 2000 })])).results[0]?.action).toBe("created");
    const bucket = client.bus.bucket(client.subjects.buckets.workloads);
    const pods = async (): Promise<unknown> =>
      (JSON.parse((await bucket.get("default.web"))?.value ?? "{}") as Partial<WorkloadObject>).status?.pods;
    await until("2000 pods", async () => (await pods()) === 2000);
    expect(counters.terms).toBe(1);
  });

  it("refuses what does not fit, with its code, and answers reads no older than asked for", async () => {
    await controller("c1");
    await client.leader();
    const bad = await client.apply([{ apiVersion: "swain/v1", kind: "Workload", metadata: { name: "web" }, spec: {} }]);
    expect(bad.error).toMatchObject({ code: "INVALID_MANIFEST" });
    expect(bad.error?.problems?.length).toBeGreaterThan(0);
    const env = Array.from({ length: 8000 }, () => ({}));
    const worse = await client.apply([workloadManifest("web", { containers: [{ name: "main", env }] } as object)]);
    expect(worse.error?.problems).toHaveLength(100);
    const missing = await client.ask<ApiError>("default", "workload", "delete", {
      operation: "delete-none",
      name: "none",
    });
    expect(missing.error.code).toBe("NOT_FOUND");
    const { sequence } = await client.apply([workloadManifest("web")]);
    const found = await client.ask<{ sequence: number }>("default", "workload", "get", {
      name: "web",
      minSeq: sequence,
    });
    expect(found.sequence).toBeGreaterThanOrEqual(sequence);
    const early = await client.ask<ApiError>("default", "workload", "get", { name: "web", minSeq: sequence + 1000 });
    expect(early.error.code).toBe("TIMEOUT");
  });

  it("notices a dead node within five seconds and never one whose agent still answers", async () => {
    await controller("c1");
    const [n1, n2] = await Promise.all([agent("n1"), agent("n2")]);
    await until("two nodes", async () => (await client.list("node").catch(() => [])).length === 2);
    if (n1 === undefined || n2 === undefined) throw new Error("two agents were started");
    // n2 falls silent but answers pings.
    n2.beat = () => {};
    const died = Date.now();
    await n1.vanish();
    const states = async (): Promise<Record<string, string>> => {
      const nodes = await client.list<{ metadata: { name: string }; status: { state: string } }>("node");
      return Object.fromEntries(nodes.map(({ metadata, status }) => [metadata.name, status.state]));
    };
    await until("n1 to be unknown", async () => (await states())["n1"] === "unknown", 7000);
    expect(Date.now() - died).toBeLessThan(5000);
    await until("twice the limit to pass", () => Date.now() - died > 9000);
    expect(await states()).toEqual({ n1: "unknown", n2: "ready" });
  });

  it("goes on after the server was restarted", async () => {
    const { counters } = await controller("c1");
    const n1 = await agent("n1");
    await until("the node", async () => (await client.list("node").catch(() => [])).length === 1);
    await client.apply([workloadManifest("web", { replicas: 2 })]);
    await ready(2);
    await world.server.stop();
    await world.server.start();
    await client.leader();
    await client.ask("default", "workload", "scale", { operation: "scale-up", name: "web", replicas: 3 });
    await ready(3);
    expect(n1.pods.size).toBe(3);
    expect(counters.refused).toBe(0);
  });

  it("lists pods and events in pages that leave nothing out and tell nothing twice", async () => {
    await controller("c1");
    await agent("n1");
    await client.leader();
    await until("the node", async () => (await client.list("node")).length === 1);
    await client.apply([workloadManifest("web", { replicas: 25 })]);
    await ready(25);
    const pages = async (resource: string, idOf: (item: never) => string): Promise<string[]> => {
      const ids: string[] = [];
      for (let after: string | undefined; ;) {
        const body = { limit: 7, ...(after === undefined ? {} : { after }) };
        const page = await client.ask<ListReply>("_", resource, "list", body);
        expect(page.items.length).toBeLessThanOrEqual(7);
        ids.push(...page.items.map((item) => idOf(item as never)));
        if (page.next === undefined) return ids;
        after = page.next;
      }
    };
    const pods = await pages("pod", ({ metadata }: PodObject) => metadata.name);
    expect(pods).toHaveLength(25);
    expect(pods).toEqual([...new Set(pods)].toSorted());
    const events = await pages("event", ({ id }: Feed) => id);
    expect(new Set(events).size).toBe(events.length);
    const all = await client.ask<ListReply>("_", "event", "list", { limit: 1000 });
    expect(events.toSorted()).toEqual(all.items.map((item) => String(item["id"])).toSorted());
  });

  it.each([8, -8])("leads anew with the right time when its clock was set by %i hours", async (hours) => {
    let ahead = 0;
    await controller("c1", { clock: { ...systemClock, wall: () => systemClock.wall() + ahead } });
    await client.leader();
    const times = async (): Promise<number[]> => {
      // Between two terms nobody answers.
      const { items } = await client.ask<{ items?: Feed[] }>("_", "event", "list", {}).catch(() => ({ items: [] }));
      return (items ?? []).filter(({ type }) => type === "swain.leader.elected").map(({ time }) => Date.parse(time));
    };
    expect(await times()).toHaveLength(1);
    ahead = hours * 3_600_000;
    await until("another election", async () => (await times()).length === 2);
    const now = systemClock.wall() + ahead;
    expect(Math.abs(((await times())[1] ?? 0) - now)).toBeLessThan(10_000);
    await client.leader();
    expect((await client.apply([workloadManifest("web", { replicas: 0 })])).error).toBeUndefined();
  });

  it("shows up in the NATS micro protocol", async () => {
    await controller("c1");
    await client.leader();
    const info = await client.bus.request(`$SRV.INFO.swain-${world.cluster}`, "", { timeoutMs: 2000 });
    expect(info.json()).toMatchObject({ type: "io.nats.micro.v1.info_response", id: "c1" });
    expect(subjectsOf(world.cluster).stream).toBe("SWAIN_test_EVENTS");
  });
});
