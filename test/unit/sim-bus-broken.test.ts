// What breaks the simulated server at the worst moment: while a record is on its way to it, or somebody is about to read some.
import { expect, it } from "vitest";
import { names, SimWorld } from "../support/sim-bus-world.ts";

it("has something happen once while an append is under way", async () => {
  const world = await SimWorld.open();
  const { bus, link } = await world.client();
  await world.fill(bus, 0, 2);
  let broken = 0;
  world.server.atNextAppend(() => {
    broken += 1;
    link.reset();
  });
  expect(await world.code(world.append(bus, 2))).toBe("TIMEOUT");
  expect(broken).toBe(1);
  expect((await world.record(bus, 3))?.sequence).toBe(3);
  expect(await world.time.until(world.append(bus, 3))).toBe(4);
  world.server.atNextAppend(() => expect.fail("it was taken back"))();
  expect(await world.time.until(world.append(bus, 4))).toBe(5);
});

it("has something happen once somebody begins to read records that are there, which goes on when the server is back", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  await world.fill(bus, 0, 4);
  const asked: number[] = [];
  world.server.readings.atNext((from) => {
    asked.push(from);
    world.server.kill();
  });
  world.follow((await world.client()).bus);
  await world.time.pass(100);
  expect(asked).toEqual([1]);
  world.server.start();
  await world.time.pass(10_000);
  world.server.readings.atNext((from) => {
    asked.push(from);
    world.server.kill();
  });
  const read: number[] = [];
  const reading = bus.log(names.stream).read(3, ({ sequence }) => read.push(sequence));
  await world.time.pass(100);
  expect([asked, read]).toEqual([[1, 3], []]);
  world.server.start();
  await world.time.until(reading);
  const consumers = bus.request(`$JS.API.CONSUMER.NAMES.${names.stream}`, {}, { timeoutMs: 1000 });
  // What was asked for as it broke was not made. One is the follower's.
  expect((await world.time.until(consumers)).json()).toMatchObject({ total: 1 });
  expect(read).toEqual([3, 4]);
  world.server.readings.atNext(() => expect.fail("it was taken back"))();
  await world.time.until(bus.log(names.stream).read(4, ({ sequence }) => read.push(sequence)));
  world.server.readings.atNext(() => expect.fail("there is nothing to read"));
  bus.log(names.stream).follow(5, () => {});
  await world.time.pass(5000);
  expect([asked, read]).toEqual([
    [1, 3],
    [3, 4, 4],
  ]);
});

it("loses in a power cut the newest records alone, where those before them are on disk", async () => {
  const world = await SimWorld.open({ synced: false });
  const { bus } = await world.client();
  for (const at of [0, 1, 2, 3, 4]) {
    await world.fill(bus, at, at + 1);
    await world.time.pass(50);
  }
  world.server.sync(4);
  world.server.powerCut();
  world.server.start();
  await world.time.pass(5000);
  expect(await world.last(bus)).toBe(3);
  // What has been on disk once stays there.
  await world.time.until(world.append(bus, 3));
  world.server.sync();
  world.server.sync(2);
  world.server.powerCut();
  world.server.start();
  await world.time.pass(5000);
  expect(await world.last(bus)).toBe(4);
});
