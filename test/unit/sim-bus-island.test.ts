// The simulated bus of three servers: what one that is cut off from the others tells its clients, and for how long.
import { expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import { fencing } from "../../services/core/fence.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import type { Client } from "../support/sim-bus-world.ts";
import { watcher } from "../support/bus-world.ts";

const { endpoints } = names.buckets;
const electionMs = 5000;

/** A client at a server that is cut off, and one elsewhere. By seed the one server leads the log or does not. */
async function cutOff(seed: number): Promise<{ world: SimWorld; apart: Client; other: Client }> {
  const world = await SimWorld.open({ servers: 3 }, seed);
  const apart = await world.client(undefined, "apart");
  const other = await world.client(undefined, "other");
  while (other.bus.state() === "connected") {
    // Clients choose by chance: until they are at different servers.
    world.server.isolate("apart", electionMs);
    const heard = await world.hear(other.bus, "swain.test.x");
    apart.bus.publish("swain.test.x", 1);
    await world.time.pass(100);
    if (heard.length === 0) break;
    world.server.rejoin();
    await world.time.pass(electionMs);
    other.bus.elsewhere();
    await world.time.until(other.bus.flush(5000));
  }
  return { world, apart, other };
}

const tail = ({ bus }: Client) => bus.log(names.stream).tail();

it("writes nothing, and its clients hear nobody else, while all others go on", async () => {
  const { world, apart, other } = await cutOff(1);
  const heard = await world.hear(apart.bus, "swain.test.y");
  await world.time.pass(electionMs);
  expect(await world.code(world.append(apart.bus, 0))).toBe("TIMEOUT");
  expect(await world.code(apart.bus.bucket(endpoints).put("d.a", "1", 0))).toBe("TIMEOUT");
  expect(await world.time.until(world.append(other.bus, 0))).toBe(1);
  other.bus.publish("swain.test.y", 1);
  apart.bus.publish("swain.test.y", 2);
  await world.time.pass(100);
  expect(heard).toEqual([2]);
  world.server.rejoin();
  other.bus.publish("swain.test.y", 3);
  await world.time.pass(100);
  expect(heard).toEqual([2, 3]);
  expect(await world.last(apart.bus)).toBe(1);
});

it("tells the end of the log for a while if it led it, says how long it heard nobody, and is refused then", async () => {
  const found = { led: 0, followed: 0 };
  for (let seed = 1; found.led === 0 || found.followed === 0; seed += 1) {
    const { world, apart, other } = await cutOff(seed);
    const since = world.time.mono();
    const first = await world.time.until(tail(apart).catch(() => null));
    // With several replicas it was the leader's answer.
    if (first === null) {
      found.followed += 1;
      continue;
    }
    found.led += 1;
    expect(first.replicas).toBe(3);
    await world.time.pass(electionMs);
    await world.fill(other.bus, 0, 3);
    let told = 0;
    for (let passed = 0; passed < fencing.staleReadMs; passed += 500) {
      const seen = await world.time.until(tail(apart).catch(() => null));
      if (seen === null) break;
      told = world.time.mono() - since;
      expect(seen.last).toBe(0);
      expect(Math.abs(seen.heardAgoMs - told)).toBeLessThan(2000);
      await world.time.pass(500);
    }
    expect(told).toBeGreaterThan(limits.logUnheardMs);
    expect(told).toBeLessThanOrEqual(fencing.staleReadMs);
    expect(await world.code(tail(apart))).toBe("JETSTREAM_ERROR");
    expect((await world.time.until(tail(other))).heardAgoMs).toBeLessThan(limits.logUnheardMs);
  }
});

it("lets no watch load, and those that were behind it hear all when it is back, or elsewhere", async () => {
  const { world, apart, other } = await cutOff(3);
  const watch = watcher(apart.bus, endpoints, ">");
  await world.time.pass(electionMs);
  await world.time.until(other.bus.bucket(endpoints).put("d.a", "1", 0));
  await world.time.pass(30_000);
  expect(watch.loads).toEqual([]);
  apart.bus.elsewhere();
  await world.time.pass(60_000);
  expect(watch.value("d.a")).toBe("1");
});
