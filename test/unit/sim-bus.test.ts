// The faults of the simulated bus: each breaks what the real thing breaks, and nothing else. What it does when nothing is
// broken is held by the conformance suite.
import fc from "fast-check";
import { expect, it } from "vitest";
import { Chance } from "../simulation/chance.ts";
import { bodyOf, Delivery, Packet } from "../simulation/bus/message.ts";
import { nextVersion } from "../simulation/world/next-version.ts";
import { bytes, watcher } from "../support/bus-world.ts";
import { names, oneTo, SimWorld } from "../support/sim-bus-world.ts";
import { seeded } from "../support/sim-time.ts";

const pods = names.buckets.pods;
const subject = "swain.test.here";

it("gives readers what JSON would give them", () => {
  fc.assert(
    fc.property(fc.anything({ withDate: true, withMap: true, withSet: true, withNullPrototype: true }), (value) => {
      const wire = JSON.stringify(value) as string | undefined;
      const packet = new Packet("a", bodyOf(value));
      if (value === undefined || wire === undefined) {
        expect(packet.json()).toBeUndefined();
        return;
      }
      expect(packet.json()).toEqual(JSON.parse(wire));
      expect(new TextDecoder().decode(packet.data)).toBe(wire);
    }),
  );
});

it("keeps messages apart from what sender and readers do to them", () => {
  const value = { list: [1] };
  const packet = new Packet("a", bodyOf(value));
  value.list.push(2);
  (packet.json() as typeof value).list.push(3);
  expect(packet.json()).toEqual({ list: [1] });
  const subscription = { subject: "a", handler: () => {}, live: true };
  const [one, other] = [new Delivery(packet, subscription), new Delivery(packet, subscription)];
  (one.json() as typeof value).list.push(4);
  expect(other.json()).toEqual({ list: [1] });
  expect(new Packet("a", bodyOf([-0, NaN, undefined])).json()).toEqual([0, null, null]);
});

it("loses what an unsynced server acknowledged since it last synced when the power goes, and no more", async () => {
  const world = await SimWorld.open({ synced: false });
  const { bus } = await world.client();
  await world.fill(bus, 0, 3);
  const bucket = bus.bucket(pods);
  const kept = await world.time.until(bucket.put("d.a", "old", 0));
  const follow = world.follow(bus);
  await world.time.pass(130_000);
  await world.fill(bus, 3, 6);
  await world.time.until(bucket.put("d.a", "new", kept));
  await world.time.until(bucket.put("d.b", "new", 0));
  await world.time.pass(1000);
  expect(follow.sequences).toEqual(oneTo(6));
  world.server.powerCut();
  world.server.start();
  await world.time.pass(5000);
  expect(await world.last(bus)).toBe(3);
  expect(follow.broken).toEqual([{ first: 1, last: 3 }]);
  expect(await world.time.until(bucket.get("d.a"))).toEqual({ key: "d.a", value: "old", revision: kept });
  expect(await world.time.until(bucket.get("d.b"))).toBeNull();
  expect(world.server.keys.revisions(pods)).toEqual(new Map([["d.a", kept]]));
  const [removed, again] = [world.server.strayPut(pods, "d.a", null), world.server.strayPut(pods, "d.b", "x")];
  expect(world.server.keys.revisions(pods)).toEqual(
    new Map([
      ["d.a", -removed],
      ["d.b", again],
    ]),
  );
  expect(await world.time.until(world.append(bus, 3))).toBe(4);
});

it("loses nothing acknowledged when each write is synced, nor when only the process is killed", async () => {
  for (const synced of [true, false]) {
    const world = await SimWorld.open({ synced });
    const { bus } = await world.client();
    await world.fill(bus, 0, 5);
    await world.time.until(bus.bucket(pods).put("d.a", "1", 0));
    if (synced) world.server.powerCut();
    else world.server.kill();
    world.server.start();
    await world.time.pass(3000);
    expect(await world.last(bus)).toBe(5);
    expect((await world.time.until(bus.bucket(pods).get("d.a")))?.value).toBe("1");
  }
});

it("leaves open whether a write that a kill or a power cut met on its way was stored", async () => {
  for (const fault of ["kill", "powerCut"] as const) {
    const outcomes = new Set<number>();
    for (let seed = 1; seed <= 10; seed += 1) {
      const world = await SimWorld.open({ writeMs: [10, 10] }, seed);
      const { bus } = await world.client();
      const cut = world.code(world.append(bus, 0));
      world.time.after(5, () => {
        world.server[fault]();
        world.server.start();
      });
      expect(await cut).toBe("TIMEOUT");
      await world.time.pass(3000);
      outcomes.add(await world.last(bus));
    }
    expect(outcomes).toEqual(new Set([0, 1]));
  }
});

it("hides the outcome of a write that was stored, and of one that was not", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  world.server.hideOutcome("lost");
  expect(await world.code(world.append(bus, 0))).toBe("TIMEOUT");
  expect(await world.record(bus, 1)).toBeNull();
  world.server.hideOutcome("stored");
  expect(await world.code(world.append(bus, 0))).toBe("TIMEOUT");
  expect(await world.record(bus, 1)).not.toBeNull();
  expect(await world.code(world.append(bus, 0))).toBe("APPEND_CONFLICT");
  expect(await world.time.until(world.append(bus, 1))).toBe(2);
  expect(world.server.counters).toMatchObject({ appends: 2, conflicts: 1 });
});

it("tells a watch everything again after its consumer was lost, or a message of it", async () => {
  const world = await SimWorld.open();
  const [writer, reader] = [await world.client(), await world.client()];
  const bucket = writer.bus.bucket(pods);
  let revision = await world.time.until(bucket.put("d.a", "1", 0));
  const watch = watcher(reader.bus, pods, ">");
  const follow = world.follow(reader.bus);
  await world.time.pass(2000);
  world.server.dropConsumers();
  revision = await world.time.until(bucket.put("d.a", "2", revision));
  await world.fill(writer.bus, 0, 3);
  await world.time.pass(2000);
  expect([watch.loads.length, watch.value("d.a")]).toEqual([1, "1"]);
  await world.time.pass(4000);
  expect([watch.loads.length, watch.value("d.a"), follow.sequences]).toEqual([2, "2", oneTo(3)]);
  reader.link.disturb({ gap: 1 });
  await world.time.until(bucket.put("d.a", "3", revision));
  await world.fill(writer.bus, 3, 5);
  await world.time.pass(500);
  expect([watch.value("d.a"), follow.sequences]).toEqual(["2", oneTo(3)]);
  reader.link.disturb({});
  await world.time.pass(5000);
  expect([watch.value("d.a"), follow.sequences, follow.broken]).toEqual(["3", oneTo(5), []]);
});

it("leaves no consumer behind, neither after a cancel nor when the process was killed", async () => {
  const world = await SimWorld.open();
  const [asker, reader] = [await world.client(), await world.client()];
  const consumers = async (): Promise<number> => {
    const asked = asker.bus.request(`$JS.API.CONSUMER.NAMES.KV_${pods}`, {}, { timeoutMs: 1000 });
    return ((await world.time.until(asked)).json() as { total: number }).total;
  };
  const watch = watcher(reader.bus, pods, ">");
  watcher(reader.bus, pods, "d.*");
  await world.time.pass(60_000);
  expect(await consumers()).toBe(2);
  watch.cancel();
  await world.time.pass(100);
  expect(await consumers()).toBe(1);
  reader.clock.kill();
  reader.bus.abandon();
  await world.time.pass(9000);
  expect(await consumers()).toBe(1);
  await world.time.pass(3000);
  expect(await consumers()).toBe(0);
});

it("does nothing while frozen, and then everything in order", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(), await world.client()];
  const heard = await world.hear(reader.bus, subject);
  const watch = watcher(reader.bus, pods, ">");
  await world.time.pass(100);
  world.server.freeze();
  for (const n of oneTo(5)) sender.bus.publish(subject, n);
  expect(await world.code(world.append(sender.bus, 0, "cut"))).toBe("TIMEOUT");
  await world.time.pass(8000);
  expect([heard, sender.bus.state()]).toEqual([[], "connected"]);
  world.server.thaw();
  await world.time.pass(2000);
  expect(heard).toEqual(oneTo(5));
  expect(await world.last(sender.bus)).toBe(1);
  await world.time.until(sender.bus.bucket(pods).put("d.a", "1", 0));
  await world.time.pass(2000);
  expect(watch.value("d.a")).toBe("1");
});

it("refuses JetStream or is silent while the stream leader moves, and goes on with core messages", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const heard = await world.hear(bus, subject);
  world.server.leaderMove(5000);
  const codes = new Set<string>();
  const tries = oneTo(20).map(() =>
    bus
      .log(names.stream)
      .tail()
      .catch((error: { code: string }) => codes.add(error.code)),
  );
  bus.publish(subject, 1);
  await world.time.pass(4900);
  expect(heard).toEqual([1]);
  await world.time.pass(5200);
  await Promise.all(tries);
  expect([...codes].sort()).toEqual(["JETSTREAM_ERROR", "TIMEOUT"]);
  expect(await world.time.until(world.append(bus, 0))).toBe(1);
});

it("has no streams after a wipe until somebody makes them again", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  await world.fill(bus, 0, 3);
  await world.time.until(bus.bucket(pods).put("d.a", "1", 0));
  const follow = world.follow(bus);
  const watch = watcher(bus, pods, ">");
  await world.time.pass(2000);
  world.server.wipe();
  expect(await world.code(world.append(bus, 3))).toBe("JETSTREAM_ERROR");
  expect(await world.code(bus.bucket(pods).get("d.a"))).toBe("JETSTREAM_ERROR");
  await world.ensure();
  expect(await world.last(bus)).toBe(0);
  await world.fill(bus, 0, 5);
  await world.time.pass(60_000);
  expect(follow).toEqual({ sequences: oneTo(3), broken: [{ first: 1, last: 5 }] });
  expect([watch.loads.at(-1), watch.entries.size]).toEqual([new Set(), 0]);
});

it("has no room for records and keys when full, and still tells conflicts", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  await world.fill(bus, 0, 2);
  world.server.fill(true);
  expect(await world.code(world.append(bus, 2))).toBe("LOG_FULL");
  expect(await world.code(world.append(bus, 1))).toBe("APPEND_CONFLICT");
  expect(await world.code(bus.bucket(pods).put("d.a", "1", 0))).toBe("JETSTREAM_ERROR");
  world.server.fill(false);
  expect(await world.time.until(world.append(bus, 2))).toBe(3);
});

it("limits the log alone, until it is told to stop", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  await world.fill(bus, 0, 2);
  const log = bus.log(names.stream);
  const { most } = await world.time.until(log.room());
  world.server.meddler.limitLog(50);
  world.server.meddler.limitLog(60);
  expect(await world.code(world.append(bus, 2))).toBe("LOG_FULL");
  expect(await world.code(bus.bucket(pods).put("d.a", "1", 0))).toBe("none");
  world.server.meddler.limitLog();
  expect((await world.time.until(log.room())).most).toBe(most);
  expect(await world.time.until(world.append(bus, 2))).toBe(3);
});

it.each([false, true])(
  "tells a watch that its bucket was deleted, of this version or of the next (%s)",
  async (isNext) => {
    const world = await SimWorld.open();
    const client = await world.client();
    const bus = isNext ? nextVersion(client.bus, seeded(1)) : client.bus;
    await world.time.until(bus.bucket(pods).put("d.a", "1", 0));
    let missing = 0;
    const loads: ReadonlySet<string>[] = [];
    bus.bucket(pods).watch(">", {
      onEntry: () => {},
      onLoaded: (keys) => loads.push(keys),
      onMissing: () => (missing += 1),
    });
    await world.time.pass(1000);
    world.server.meddler.deleteBucket(pods);
    await world.time.pass(10_000);
    expect([missing > 0, loads]).toEqual([true, [new Set(["d.a"])]]);
    await world.ensure();
    await world.time.pass(10_000);
    expect(loads.slice(1)).toEqual([new Set()]);
  },
);

it("takes a part of a snapshot away, a record of the log, and all of either", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  await world.fill(bus, 0, 3);
  world.server.meddler.removeRecord(2);
  expect([await world.record(bus, 2), (await world.record(bus, 3))?.sequence]).toEqual([null, 3]);
  const shelf = bus.log(names.snapshots);
  const put = (id: string, part: "chunk" | "manifest", expectedSequence: number): Promise<number> => {
    const options = { expectedSequence, messageId: `${id}${expectedSequence}`, timeoutMs: 2000 };
    return world.time.until(shelf.append(names.snapshot(id, part), bytes("x"), options));
  };
  await put("a", "chunk", 0);
  await put("a", "manifest", 1);
  await put("b", "chunk", 2);
  await put("b", "manifest", 3);
  const held = async (): Promise<boolean[]> =>
    Promise.all(oneTo(4).map(async (at) => (await world.time.until(shelf.get(at))) !== null));
  world.server.meddler.breakSnapshot(new Chance("a"), true);
  const [first, second, ...newest] = await held();
  expect([first, second, newest.filter((isThere) => isThere).length]).toEqual([true, true, 1]);
  world.server.meddler.deleteSnapshots();
  expect(await world.code(shelf.tail())).toBe("JETSTREAM_ERROR");
  world.server.meddler.deleteLog();
  expect(await world.code(bus.log(names.stream).tail())).toBe("JETSTREAM_ERROR");
});

it("loses what is sent on a subject that is mute, and nothing else", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const heard = await world.hear(bus, "swain.test.>");
  world.server.muted.add("swain.test.a");
  bus.publish("swain.test.a", 1);
  bus.publish("swain.test.b", 2);
  await world.time.pass(100);
  expect(heard).toEqual([2]);
});

it("takes records and keys that others write by hand", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const [follow, watch] = [world.follow(bus), watcher(bus, pods, ">")];
  await world.time.pass(1000);
  expect(world.server.strayAppend(names.event("pod", "default", "x", "stray"), new Uint8Array([1]))).toBe(1);
  const revision = world.server.strayPut(pods, "d.a", "by hand");
  await world.time.pass(10);
  expect([follow.sequences, watch.value("d.a")]).toEqual([[1], "by hand"]);
  expect(await world.code(bus.bucket(pods).put("d.a", "x", 0))).toBe("KV_CONFLICT");
  expect(await world.time.until(bus.bucket(pods).put("d.a", "x", revision))).toBe(revision + 1);
});

it("cuts the log for followers and readers, also beyond its end", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const purge = async (below: number): Promise<unknown> => {
    const asked = bus.request(`$JS.API.STREAM.PURGE.${names.stream}`, { seq: below }, { timeoutMs: 1000 });
    await world.time.until(asked);
    return world.time.until(bus.log(names.stream).tail());
  };
  await world.fill(bus, 0, 10);
  expect(await purge(6)).toMatchObject({ first: 6, last: 10 });
  const follow = world.follow(bus);
  await world.time.pass(100);
  expect(follow).toEqual({ sequences: [], broken: [{ first: 6, last: 10 }] });
  expect(await purge(100)).toMatchObject({ first: 100, last: 99 });
  expect(await world.time.until(world.append(bus, 99))).toBe(100);
});
