// The bus under the faults that real servers and networks bring: readers must come back by themselves and miss nothing.
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { bytes, codeOf, fresh, until, waitMs, watcher } from "../support/bus-world.ts";
import { describeServers } from "../support/nats.ts";

const names = subjectsOf("test");
const subject = names.event("pod", "default", "web-1", "placed");

describeServers("the bus in trouble", (binary) => {
  let world: RealWorld;
  let bus: Bus;
  let reader: Bus;

  beforeEach(async () => {
    world = await openWorld(binary);
    bus = await world.connect();
    reader = await world.connect();
  });
  afterEach(() => world?.close());

  const api = async (verb: string, value?: unknown): Promise<Record<string, unknown>> => {
    const answer = await bus.request(`$JS.API.${verb}`, value, { timeoutMs: waitMs });
    return answer.json() as Record<string, unknown>;
  };
  const consumers = async (stream: string): Promise<string[]> =>
    ((await api(`CONSUMER.NAMES.${stream}`, {}))["consumers"] as string[] | null) ?? [];
  const append = (expectedSequence: number): Promise<number> =>
    bus.log(names.stream).append(subject, bytes({ n: expectedSequence + 1 }), {
      expectedSequence,
      messageId: fresh(),
      timeoutMs: waitMs,
    });
  const follower = () => {
    const sequences: number[] = [];
    const broken: unknown[] = [];
    const cancel = reader.log(names.stream).follow(
      1,
      (record) => sequences.push(record.sequence),
      (tail) => broken.push(tail),
    );
    return { sequences, broken, cancel };
  };
  /** Tries until JetStream is back after a restart. */
  const eventually = async <T>(work: () => Promise<T>): Promise<T> => {
    const end = performance.now() + 20_000;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const oneTo = (last: number): number[] => Array.from({ length: last }, (_, n) => n + 1);

  it("goes on watching after the server was killed and started again", async () => {
    const bucket = bus.bucket(names.buckets.pods);
    const a = await bucket.put("default.a", "1", 0);
    const b = await bucket.put("default.b", "1", 0);
    const watch = watcher(reader, names.buckets.pods, ">");
    await until(() => watch.loads.length === 1, "it was loaded");
    await world.server.kill();
    await until(() => reader.state() === "disconnected", "the loss was noticed");
    await world.server.start();
    await until(() => reader.state() === "connected", "it is connected again");
    // At once, and not only when the missing heartbeats are noticed.
    await until(() => watch.loads.length === 2, "everything was told again", 3000);
    expect([...watch.entries.keys()].sort()).toEqual(["default.a", "default.b"]);
    await eventually(() => bucket.put("default.a", "2", a));
    await eventually(() => bucket.remove("default.b", b));
    await until(() => watch.value("default.a") === "2" && watch.value("default.b") === null, "changes were told");
  });

  it("goes on following without a gap after the server was killed and started again", async () => {
    let at = 0;
    const follow = follower();
    while (at < 20) at = await append(at);
    await until(() => follow.sequences.length === 20, "all were told");
    for (let round = 0; round < 2; round += 1) {
      await world.server.kill();
      await until(() => bus.state() === "disconnected" && reader.state() === "disconnected", "the loss was noticed");
      await world.server.start();
      at = await eventually(() => append(at));
      at = await append(at);
    }
    await until(() => follow.sequences.length >= 24, "all were told");
    expect(follow.sequences).toEqual(oneTo(24));
    expect(follow.broken).toEqual([]);
  });

  it("goes on watching when its consumer is deleted on the server", async () => {
    const bucket = bus.bucket(names.buckets.pods);
    const a = await bucket.put("default.a", "1", 0);
    const watch = watcher(reader, names.buckets.pods, "default.*");
    await until(() => watch.loads.length === 1, "it was loaded");
    const stream = `KV_${names.buckets.pods}`;
    const [name] = await consumers(stream);
    await api(`CONSUMER.DELETE.${stream}.${name}`);
    await bucket.put("default.a", "2", a);
    await until(() => watch.loads.length === 2, "everything was told again", 10_000);
    expect(watch.value("default.a")).toBe("2");
    expect(await consumers(stream)).toHaveLength(1);
  });

  it("goes on following when its consumer is deleted on the server, again and again", async () => {
    let at = await append(0);
    const follow = follower();
    for (let round = 0; round < 2; round += 1) {
      await until(() => follow.sequences.length === at, "all were told");
      for (const name of await consumers(names.stream)) await api(`CONSUMER.DELETE.${names.stream}.${name}`);
      at = await append(at);
    }
    await until(() => follow.sequences.length >= at, "all were told");
    expect(follow.sequences).toEqual(oneTo(at));
  });

  it("tells everything again, and so what is gone, when the bucket is made anew under a watch", async () => {
    const bucket = bus.bucket(names.buckets.pods);
    await bucket.put("default.a", "1", 0);
    await bucket.put("default.b", "1", 0);
    const watch = watcher(reader, names.buckets.pods, ">");
    await until(() => watch.loads.length === 1, "it was loaded");
    await api(`STREAM.DELETE.KV_${names.buckets.pods}`);
    await ensureStreams(bus, "test", { replicas: 1 });
    await bucket.put("default.b", "new", 0);
    await until(() => watch.loads.length === 2, "everything was told again");
    expect(watch.entries).toEqual(new Map([["default.b", { key: "default.b", value: "new", revision: 1 }]]));
  });

  it("waits for a bucket that is not there yet", async () => {
    await api(`STREAM.DELETE.KV_${names.buckets.pods}`);
    const watch = watcher(reader, names.buckets.pods, ">");
    await ensureStreams(bus, "test", { replicas: 1 });
    await bus.bucket(names.buckets.pods).put("default.a", "1", 0);
    await until(() => watch.value("default.a") === "1", "the key was told");
  });

  it("tells a follower when the log was made anew, and ends", async () => {
    let at = await append(0);
    at = await append(at);
    const follow = follower();
    await until(() => follow.sequences.length === 2, "all were told");
    await api(`STREAM.DELETE.${names.stream}`);
    await ensureStreams(bus, "test", { replicas: 1 });
    at = 0;
    while (at < 5) at = await append(at);
    await until(() => follow.broken.length === 1, "it was told");
    expect(follow.broken).toEqual([{ first: 1, last: 5 }]);
    expect(follow.sequences).toEqual([1, 2]);
  });

  it("tells a follower when the log was cut before it", async () => {
    let at = 0;
    while (at < 10) at = await append(at);
    await api(`STREAM.PURGE.${names.stream}`, { seq: 6 });
    expect(await bus.log(names.stream).tail()).toMatchObject({ first: 6, last: 10 });
    const follow = follower();
    await until(() => follow.broken.length === 1, "it was told");
    expect([follow.broken, follow.sequences]).toEqual([[{ first: 6, last: 10 }], []]);
  });

  it("tells a follower when a record is missing in the middle, before it tells the next", async () => {
    let at = 0;
    while (at < 10) at = await append(at);
    await api(`STREAM.MSG.DELETE.${names.stream}`, { seq: 4 });
    const follow = follower();
    await until(() => follow.broken.length === 1, "it was told");
    expect([follow.broken, follow.sequences]).toEqual([[{ first: 1, last: 10 }], [1, 2, 3]]);
  });

  it("goes on after a server that stood still for longer than its heartbeats are waited for", async () => {
    const bucket = bus.bucket(names.buckets.pods);
    const a = await bucket.put("default.a", "1", 0);
    const watch = watcher(reader, names.buckets.pods, ">");
    const follow = follower();
    await until(() => watch.loads.length === 1, "it was loaded");
    await world.server.freeze();
    // Nothing can be observed of a server that stands still, so here time itself is the condition.
    await new Promise((resolve) => setTimeout(resolve, 7000));
    world.server.thaw();
    await eventually(() => append(0));
    await bucket.put("default.a", "2", a);
    await until(() => watch.value("default.a") === "2" && follow.sequences.length === 1, "both were told");
    expect(follow.broken).toEqual([]);
  });

  it("holds a request made while disconnected until the server is back", async () => {
    await world.server.stop();
    await until(() => bus.state() === "disconnected", "the loss was noticed");
    const states: string[] = [];
    bus.onState((state) => states.push(state));
    expect(await codeOf(bus.request("$JS.API.INFO", undefined, { timeoutMs: 50 }))).toBe("TIMEOUT");
    expect(await codeOf(bus.flush(50))).toBe("TIMEOUT");
    bus.publish(names.leader, {});
    const held = bus.request(names.api("_", "test", "held"), {}, { timeoutMs: 20_000 });
    reader.subscribe(names.api("_", "test", "held"), (message) =>
      reader.publish(message.reply ?? "", { answered: true }),
    );
    await world.server.start();
    // Whoever is connected first, the request or the responder: without one the answer is NO_LEADER.
    const outcome = await held.then(
      (answer) => answer.json(),
      (error: { code: string }) => error.code,
    );
    expect([{ answered: true }, "NO_LEADER"]).toContainEqual(outcome);
    expect(states).toEqual(["connected"]);
  });

  it("rejects an append cut off by the loss of the server, and the log tells afterwards what became of it", async () => {
    let at = await append(0);
    await world.server.freeze();
    const cut = codeOf(
      bus.log(names.stream).append(subject, bytes("cut"), { expectedSequence: at, messageId: "cut", timeoutMs: 500 }),
    );
    expect(await cut).toBe("TIMEOUT");
    world.server.thaw();
    const record = await eventually(async () => {
      const found = await bus.log(names.stream).get(at + 1);
      if (found === null) throw new Error("not there yet");
      return found;
    });
    expect(Buffer.from(record.data).toString()).toBe('"cut"');
    expect(await codeOf(append(at))).toBe("APPEND_CONFLICT");
    at = await append(at + 1);
    expect(at).toBe(3);
  });

  it("leaves no consumer behind, neither after a cancel nor after a close", async () => {
    const streams = [`KV_${names.buckets.pods}`, names.stream];
    const count = async (): Promise<number> => (await Promise.all(streams.map(consumers))).flat().length;
    const watch = watcher(reader, names.buckets.pods, ">");
    const follow = follower();
    await until(() => watch.loads.length === 1, "it was loaded");
    await eventually(async () => expect(await count()).toBe(2));
    watch.cancel();
    await eventually(async () => expect(await count()).toBe(1));
    await reader.bucket(names.buckets.pods).load();
    await eventually(async () => expect(await count()).toBe(1));
    expect(follow.broken).toEqual([]);
    await reader.close();
    expect(await count()).toBe(0);
  });
});
