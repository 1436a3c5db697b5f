// What the buckets hold after writes whose outcome nobody learns, over the simulated bus.
import { describe, expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import { noCounts } from "../../services/controller/counters.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Projector } from "../../services/controller/project/projector.ts";
import { nothingTouched } from "../../services/core/model.ts";
import { silent } from "../../services/kernel/log.ts";
import type { LogFields } from "../../services/kernel/log.ts";
import { TestCluster } from "../support/core.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";

const object = { kind: "service", namespace: "default", name: "web" } as const;
const applied: EventItem = {
  ...object,
  verb: "applied",
  labels: {},
  spec: { selector: { workload: "web" }, ports: [{ port: 80, targetPort: 80 }] },
};
const touched = { ...nothingTouched(), services: new Set(["default/web"]) };
const key = "service.default.web";
const settledMs = 20_000;
/** The log holds records that this controller has not folded. */
const tail = 5;

async function projecting({ synced = true } = {}) {
  const world = await SimWorld.open({ synced });
  const { bus, clock } = await world.client();
  const { bus: stranger } = await world.client();
  await world.fill(stranger, 0, tail);
  const bucket = stranger.bucket(names.buckets.desired);
  const cluster = new TestCluster();
  const errors: unknown[] = [];
  const late: unknown[] = [];
  const log = {
    ...silent,
    error: (_: string, fields?: LogFields) => errors.push(fields),
    warn: (_: string, fields?: LogFields) => fields?.["code"] === "PROJECTIONS_LATE" && late.push(fields),
  };
  const counters = noCounts();
  const context = { bus, clock, cluster: "test", subjects: names, counters, log } as unknown as Context;
  const gate = { isOpen: true };
  const projector = new Projector(context, cluster.state, {
    mayWrite: () => gate.isOpen,
    // As a leader that looks at the log's tail.
    onNewer: () => {
      cluster.state.sequence = tail;
    },
  });
  projector.start();
  await world.time.pass(1000);
  const write = (item: EventItem): void => {
    cluster.write("api", [item]);
    projector.onTouched(touched);
  };
  const held = async () => (await world.time.until(bucket.get(key)))?.value ?? null;
  return { world, cluster, bucket, projector, write, held, errors, late, counters, gate };
}

it("removes what a write stored that had no answer, when it was to be removed before one could come", async () => {
  for (const outcome of ["stored", "lost"] as const) {
    const { world, projector, write, held } = await projecting();
    world.server.hideOutcome(outcome, `KV_${names.buckets.desired}`);
    write(applied);
    await world.time.pass(100);
    expect(await held()).toEqual(outcome === "stored" ? expect.stringContaining("web") : null);
    write({ ...object, verb: "deleted" });
    await world.time.pass(settledMs);
    expect(await held()).toBeNull();
    expect(projector.lag().keys).toBe(0);
    projector.stop();
  }
});

it("writes what is wanted after a removal that had no answer", async () => {
  for (const outcome of ["stored", "lost"] as const) {
    const { world, projector, write, held } = await projecting();
    write(applied);
    await world.time.pass(100);
    world.server.hideOutcome(outcome, `KV_${names.buckets.desired}`);
    write({ ...object, verb: "deleted" });
    await world.time.pass(100);
    write(applied);
    await world.time.pass(settledMs);
    expect(await held()).toContain("web");
    projector.stop();
  }
});

it.each([1_000_000, tail])("removes what claims to be of event %i, which is not in its log", async (sequence) => {
  const { world, bucket, projector, write, held } = await projecting();
  write(applied);
  await world.time.pass(100);
  const { value } = (await world.time.until(bucket.get(key))) ?? {};
  write({ ...object, verb: "deleted" });
  await world.time.pass(100);
  const marker = (await world.time.until(bucket.get(key)))?.revision ?? 0;
  await world.time.until(bucket.put(key, JSON.stringify({ ...JSON.parse(value ?? ""), sequence }), marker));
  await world.time.pass(settledMs);
  expect(await held()).toBeNull();
  projector.stop();
});

it("writes an object again that its bucket did not take, and forgets one that is gone", async () => {
  const { world, cluster, projector, write, held, errors } = await projecting();
  write(applied);
  await world.time.pass(100);
  const service = cluster.state.services.get("default/web");
  if (service !== undefined) service.labels = { size: "x".repeat(600 * 1024) };
  projector.onTouched(touched);
  await world.time.pass(100);
  // As where the bucket takes more now: nothing touches the object.
  if (service !== undefined) service.labels = { size: "small" };
  await world.time.pass(5000);
  expect(await held()).toContain("small");
  if (service !== undefined) service.labels = { size: "x".repeat(600 * 1024) };
  projector.onTouched(touched);
  await world.time.pass(100);
  expect(projector.lag().keys).toBe(1);
  write({ kind: "service", verb: "deleted", namespace: "default", name: "web" });
  await world.time.pass(100);
  expect(projector.lag().keys).toBe(0);
  expect(errors).toHaveLength(2);
  projector.stop();
});

it.each([
  ["removes", "a:b"],
  // Its removal would be that of other keys, too.
  ["leaves", "*"],
  ["leaves", ">"],
])("%s what somebody published under %s, which is no key, and writes on at once", async (how, odd) => {
  const { world, bucket, projector, write, held, late, counters, gate } = await projecting();
  const publish = (value: string): number => world.server.strayPut(names.buckets.desired, odd, value);
  gate.isOpen = false;
  publish("1");
  await world.time.pass(1000);
  gate.isOpen = true;
  projector.resume();
  write(applied);
  await world.time.pass(100);
  expect(await held()).toContain("web");
  publish('{"logId":"l","sequence":9}');
  projector.reload();
  await world.time.pass(1000);
  write({ ...object, verb: "deleted" });
  await world.time.pass(100);
  expect(await held()).toBeNull();
  await world.time.pass(settledMs);
  expect((await world.time.until(bucket.load())).has(odd)).toBe(how === "leaves");
  expect([projector.lag().keys, counters.edited, late]).toEqual([0, how === "leaves" ? 0 : 2, []]);
  projector.stop();
});

it("says once that a bucket does not take an object, writes others, and it again when it is smaller", async () => {
  const { world, cluster, bucket, projector, write, held, errors } = await projecting();
  const label = (size: string): void => {
    const service = cluster.state.services.get("default/web");
    if (service !== undefined) service.labels = { size };
    projector.onTouched(touched);
  };
  write(applied);
  await world.time.pass(100);
  label("x".repeat(600 * 1024));
  await world.time.pass(100);
  label("y".repeat(600 * 1024));
  await world.time.pass(100);
  write({ ...applied, name: "other" });
  projector.onTouched({ ...touched, services: new Set(["default/other"]) });
  await world.time.pass(100);
  expect((await world.time.until(bucket.get("service.default.other")))?.value).toContain("other");
  expect(await held()).toContain('"labels":{}');
  expect(errors).toEqual([{ code: "PAYLOAD_TOO_LARGE", bucket: "desired", key }]);
  expect(projector.lag()).toMatchObject({ keys: 1 });
  expect(projector.lag().ms).toBeGreaterThan(200);
  label("small");
  await world.time.pass(100);
  expect(await held()).toContain("small");
  expect(projector.lag()).toEqual({ keys: 0, ms: 0 });
  projector.stop();
});

describe("a bucket that lost in a power cut what the log has", () => {
  const withPort = (port: number): EventItem => ({
    ...applied,
    spec: { ...applied.spec, ports: [{ port, targetPort: 80 }] },
  });

  it("holds it again", async () => {
    const { world, projector, write, held } = await projecting({ synced: false });
    write(withPort(80));
    await world.time.pass(300_000);
    write(withPort(81));
    await world.time.pass(1000);
    expect(await held()).toContain(":81,");
    world.server.powerCut();
    world.server.start();
    await world.time.pass(settledMs);
    expect(await held()).toContain(":81,");
    projector.stop();
  });

  it("holds it again also where somebody's edit took the revision that was lost", async () => {
    const { world, projector, write, held, counters } = await projecting({ synced: false });
    write(withPort(80));
    await world.time.pass(300_000);
    write(withPort(81));
    await world.time.pass(1000);
    world.server.powerCut();
    world.server.start();
    world.server.strayPut(names.buckets.desired, key, "edited");
    await world.time.pass(settledMs);
    expect(await held()).toContain(":81,");
    expect(counters.edited).toBe(1);
    projector.stop();
  });
});

it("writes into a bucket at once while another gives no answer", async () => {
  const { world, cluster, projector, write, late } = await projecting();
  const nodes = (await world.client()).bus.bucket(names.buckets.nodes);
  const services = Array.from({ length: limits.projectionInFlight + 1 }, (_, index) => `web-${index}`);
  for (let count = 0; count < 10 * services.length; count++) {
    world.server.hideOutcome("lost", `KV_${names.buckets.desired}`);
  }
  for (const name of services) write({ ...applied, name });
  projector.onTouched({ ...nothingTouched(), services: new Set(services.map((name) => `default/${name}`)) });
  await world.time.pass(100);
  cluster.join("first");
  projector.onTouched({ ...nothingTouched(), nodes: new Set(["first"]) });
  await world.time.pass(100);
  expect((await world.time.until(nodes.get("first")))?.value).toContain("first");
  // The writes that had no answer have failed just now.
  await world.time.pass(limits.requestTimeoutMs - 180);
  cluster.join("second");
  projector.onTouched({ ...nothingTouched(), nodes: new Set(["second"]) });
  await world.time.pass(30);
  expect((await world.time.until(nodes.get("second")))?.value).toContain("second");
  await world.time.pass(60_000);
  expect(late).toHaveLength(1);
  projector.stop();
});

it("says which services' endpoints are not written yet, and how long ago late ones were", async () => {
  const { world, projector, write } = await projecting();
  const ago = (name = "web"): number | undefined => projector.writtenAgoMs().get(`default/${name}`);
  const tell = (name: string): void =>
    projector.onTouched({ ...nothingTouched(), endpoints: new Set([`default.${name}.head`]) });
  write(applied);
  write({ ...applied, name: "other" });
  tell("web");
  await world.time.pass(200);
  expect(ago()).toBeUndefined();
  world.server.fill(true);
  tell("web");
  await world.time.pass(500);
  // It may be written in time yet.
  expect(ago()).toBeUndefined();
  await world.time.pass(20_000);
  expect([ago(), ago("other")]).toEqual([0, undefined]);
  world.server.fill(false);
  await world.time.pass(6000);
  expect(ago()).toBeGreaterThan(0);
  expect(ago()).toBeLessThan(6000);
  await world.time.pass(limits.proxyAckMs);
  expect(ago()).toBeUndefined();
  projector.reload();
  // What an earlier leader wrote is not known before all is told.
  expect([ago(), ago("other")]).toEqual([0, 0]);
  // Not all of it was there.
  await world.time.pass(limits.proxyAckMs + 1000);
  expect(ago()).toBeUndefined();
  projector.stop();
});

it("says that endpoints wait also where they changed while a write of them had no answer", async () => {
  const { world, projector, write } = await projecting();
  const ago = (): number | undefined => projector.writtenAgoMs().get("default/web");
  const tell = (): void => projector.onTouched({ ...nothingTouched(), endpoints: new Set(["default.web.head"]) });
  write(applied);
  for (let count = 0; count < 3; count++) world.server.hideOutcome("lost", `KV_${names.buckets.endpoints}`);
  tell();
  await world.time.pass(limits.requestTimeoutMs - 300);
  expect(ago()).toBe(0);
  tell();
  // The write fails meanwhile.
  for (let waited = 0; waited < 1500; waited += 50) {
    await world.time.pass(50);
    expect(ago()).toBe(0);
  }
  projector.stop();
});

it("says that endpoints wait which an earlier leader did not write, from the moment that is known", async () => {
  const { world, cluster, projector, write } = await projecting();
  const tell = (): void => projector.onTouched({ ...nothingTouched(), endpoints: new Set(["default.web.head"]) });
  write(applied);
  tell();
  await world.time.pass(200);
  world.server.fill(true);
  write({ ...applied, spec: { ...applied.spec, ports: [{ port: 81, targetPort: 80 }] } });
  tell();
  await world.time.pass(200);
  projector.stop();
  const { bus, clock } = await world.client();
  const context = {
    bus,
    clock,
    cluster: "test",
    subjects: names,
    counters: noCounts(),
    log: silent,
  } as unknown as Context;
  const next = new Projector(context, cluster.state, { mayWrite: () => true, onNewer: () => {} });
  next.start();
  for (let waited = 0; waited < 3000; waited += 50) {
    await world.time.pass(50);
    expect(next.writtenAgoMs().get("default/web")).toBe(0);
  }
  next.stop();
});

it("makes a bucket again that is deleted, also where nothing changes, and when it begins, and writes it again", async () => {
  const { world, cluster, bucket, projector, write, held } = await projecting();
  const remove = async (): Promise<void> => {
    const { bus } = await world.client();
    await world.time.until(
      bus.request(`$JS.API.STREAM.DELETE.KV_${names.buckets.desired}`, undefined, { timeoutMs: 5000 }),
    );
    expect(await world.code(bucket.get(key))).toBe("JETSTREAM_ERROR");
  };
  write(applied);
  await world.time.pass(100);
  await remove();
  await world.time.pass(settledMs);
  expect(await held()).toContain("web");
  await remove();
  projector.reload();
  await world.time.pass(settledMs);
  expect(await held()).toContain("web");
  await remove();
  const service = cluster.state.services.get("default/web");
  if (service !== undefined) service.labels = { size: "small" };
  projector.onTouched(touched);
  await world.time.pass(settledMs);
  expect(await held()).toContain("small");
  projector.stop();
});

it("makes no bucket again beside a log that is gone", async () => {
  const { world, bucket, projector } = await projecting();
  world.server.wipe();
  world.server.dropConsumers();
  await world.time.pass(settledMs);
  expect(await world.code(bucket.get(key))).toBe("JETSTREAM_ERROR");
  projector.stop();
});

it("says that a key was edited once it has written it, and nothing where another leader wrote it", async () => {
  const { world, bucket, projector, write, held, counters, gate } = await projecting();
  const removed = async (): Promise<void> => {
    const entry = await world.time.until(bucket.get(key));
    await world.time.until(bucket.remove(key, entry?.revision ?? 0));
    await world.time.pass(100);
  };
  write(applied);
  await world.time.pass(100);
  await removed();
  expect(counters.edited).toBe(1);
  expect(await held()).toContain("web");
  // As a leader that stood still: it is to look at the log first, and finds that another leads.
  gate.isOpen = false;
  await removed();
  projector.stop();
  await world.time.pass(settledMs);
  expect(await held()).toBeNull();
  expect(counters.edited).toBe(1);
});
