// Connections of the simulated bus: what links, lost servers and processes that stand still do to messages on their way.
import { expect, it } from "vitest";
import { Link } from "../simulation/bus/link.ts";
import { oneTo, SimWorld } from "../support/sim-bus-world.ts";

const subject = "swain.test.here";

it("drops what is published while disconnected, and lets requests wait for the connection", async () => {
  const world = await SimWorld.open();
  const [{ bus }, { bus: other }] = [await world.client(), await world.client()];
  const heard = await world.hear(other, subject);
  const states: string[] = [];
  bus.onState((state) => states.push(state));
  world.server.kill();
  await world.time.pass(10);
  expect(bus.state()).toBe("disconnected");
  bus.publish(subject, "lost");
  expect(await world.code(bus.flush(100))).toBe("TIMEOUT");
  const asked = bus.request("$JS.API.INFO", {}, { timeoutMs: 5000 });
  await world.time.pass(1000);
  world.server.start();
  expect((await world.time.until(asked)).json()).toHaveProperty("streams");
  await world.time.pass(1000);
  bus.publish(subject, "arrives");
  await world.time.pass(10);
  expect([heard, states]).toEqual([["arrives"], ["disconnected", "connected"]]);
  expect(world.server.counters.reconnects).toBe(2);
});

it("lets requests in flight when the connection breaks run into their time limit", async () => {
  const world = await SimWorld.open();
  const { bus, link } = await world.client();
  await world.hear(bus, subject);
  const started = world.time.mono();
  const asked = world.code(bus.request(subject, {}, { timeoutMs: 3000 }));
  link.reset();
  expect(await asked).toBe("TIMEOUT");
  expect(world.time.mono() - started).toBe(3000);
  expect([bus.state(), world.server.counters.reconnects]).toEqual(["connected", 1]);
});

it("keeps the order of a connection, however long each message takes, unless it is told to reorder", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(new Link([1, 500])), await world.client(new Link([1, 500]))];
  const heard = await world.hear(reader.bus, subject);
  const send = async (): Promise<void> => {
    heard.length = 0;
    for (const n of oneTo(100)) sender.bus.publish(subject, n);
    await world.time.pass(5000);
  };
  sender.link.disturb({ delay: 0.3, delayMs: 2000 });
  await send();
  expect(heard).toEqual(oneTo(100));
  sender.link.disturb({ reorder: 0.3, delayMs: 2000 });
  await send();
  expect(heard).not.toEqual(oneTo(100));
  expect([...heard].sort((left, right) => Number(left) - Number(right))).toEqual(oneTo(100));
});

it("has one that lags read all late and in order, answers to a flush too, while what it sends arrives in time", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(), await world.client()];
  const [heard, heardBack] = [await world.hear(reader.bus, subject), await world.hear(sender.bus, `${subject}.back`)];
  reader.link.lagMs = 5000;
  for (const n of oneTo(3)) sender.bus.publish(subject, n);
  reader.bus.publish(`${subject}.back`, "in time");
  expect(await world.code(reader.bus.flush(600))).toBe("TIMEOUT");
  expect([heard, heardBack, reader.bus.state()]).toEqual([[], ["in time"], "connected"]);
  reader.link.lagMs = 0;
  sender.bus.publish(subject, 4);
  await world.time.pass(4000);
  expect(heard).toEqual([]);
  await world.time.pass(1000);
  expect(heard).toEqual(oneTo(4));
  await world.time.until(reader.bus.flush(600));
});

it("loses and doubles single messages by chance", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(), await world.client()];
  const heard = await world.hear(reader.bus, subject);
  const send = async (): Promise<number> => {
    heard.length = 0;
    for (const n of oneTo(200)) sender.bus.publish(subject, n);
    await world.time.pass(100);
    return heard.length;
  };
  reader.link.disturb({ lose: 0.2 });
  expect(await send()).toBeLessThan(190);
  reader.link.disturb({ double: 0.2 });
  expect(await send()).toBeGreaterThan(210);
  reader.link.disturb({});
  expect(await send()).toBe(200);
});

it("brings a message that comes twice as it was, whatever its reader did to the first", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(), await world.client()];
  const heard: number[] = [];
  reader.bus.subscribe(subject, (message) => {
    const list = message.json() as number[];
    heard.push(list.length);
    list.push(0);
  });
  await world.time.until(reader.bus.flush(1000));
  sender.link.disturb({ double: 1, reorder: 0.5, delayMs: 50 });
  for (const n of oneTo(20)) sender.bus.publish(subject, [n]);
  await world.time.pass(1000);
  expect(heard).toEqual(Array.from({ length: 40 }, () => 1));
});

it("holds what is sent into a cut direction, and lets the other direction pass", async () => {
  const world = await SimWorld.open();
  const [here, there] = [await world.client(), await world.client()];
  const [heardHere, heardThere] = [await world.hear(here.bus, "a"), await world.hear(there.bus, "b")];
  here.link.down = false;
  here.bus.publish("b", "passes");
  there.bus.publish("a", "waits");
  await world.time.pass(10_000);
  expect([heardHere, heardThere, here.bus.state()]).toEqual([[], ["passes"], "connected"]);
  here.link.down = true;
  here.link.up = false;
  here.bus.publish("b", "waits");
  here.bus.publish("b", "behind it");
  there.bus.publish("a", "passes");
  await world.time.pass(10_000);
  expect([heardHere, heardThere]).toEqual([["waits", "passes"], ["passes"]]);
  here.link.up = true;
  await world.time.pass(10);
  expect(heardThere).toEqual(["passes", "waits", "behind it"]);
});

it("notices a dead link by two unanswered pings, on the server much later, and loses what was held", async () => {
  const world = await SimWorld.open();
  const [cut, asker] = [await world.client(), await world.client()];
  const heard = await world.hear(cut.bus, subject);
  const lost = await world.hear(asker.bus, "lost");
  const cutAt = world.time.mono();
  let noticedAt = 0;
  cut.bus.onState(() => (noticedAt ||= world.time.mono()));
  cut.link.up = cut.link.down = false;
  cut.bus.publish("lost", 1);
  await world.time.pass(60_000);
  expect(noticedAt - cutAt).toBeGreaterThan(29_000);
  expect(noticedAt - cutAt).toBeLessThan(46_000);
  // To the server somebody still listens.
  expect(await world.code(asker.bus.request(subject, {}, { timeoutMs: 1000 }))).toBe("TIMEOUT");
  await world.time.pass(500_000);
  expect(await world.code(asker.bus.request(subject, {}, { timeoutMs: 1000 }))).toBe("NO_LEADER");
  cut.link.up = cut.link.down = true;
  await world.time.pass(6000);
  expect(cut.bus.state()).toBe("connected");
  asker.bus.publish(subject, "again");
  await world.time.pass(10);
  expect([heard, lost]).toEqual([["again"], []]);
});

it("throws away what was held when the client gives the connection up", async () => {
  const world = await SimWorld.open();
  const [cut, reader] = [await world.client(), await world.client()];
  const heard = await world.hear(reader.bus, subject);
  cut.link.up = false;
  cut.bus.publish(subject, "held");
  await world.time.pass(60_000);
  expect(cut.bus.state()).toBe("disconnected");
  cut.link.up = true;
  await world.time.pass(6000);
  cut.bus.publish(subject, "after");
  await world.time.pass(10);
  expect(heard).toEqual(["after"]);
});

it("gives a paused process what came meanwhile when it goes on, in order, and a killed one nothing", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(), await world.client()];
  const heard = await world.hear(reader.bus, subject);
  reader.clock.pause();
  for (const n of oneTo(5)) sender.bus.publish(subject, n);
  await world.time.pass(1000);
  expect(heard).toEqual([]);
  reader.clock.resume();
  await world.time.pass(1);
  expect(heard).toEqual(oneTo(5));
  sender.bus.publish(subject, "in flight");
  reader.clock.kill();
  reader.bus.abandon();
  await world.time.pass(10);
  expect(heard).toEqual(oneTo(5));
  expect(await world.code(sender.bus.request(subject, {}, { timeoutMs: 5000 }))).toBe("NO_LEADER");
});

it("lets clients find out by themselves when the power goes silently", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  world.server.powerCut({ silently: true });
  await world.time.pass(20_000);
  expect(bus.state()).toBe("connected");
  world.server.start();
  // The next ping meets a machine that knows nothing of the connection.
  await world.time.pass(16_000);
  expect([bus.state(), world.server.counters.reconnects]).toEqual(["connected", 1]);
  expect(await world.time.until(world.append(bus, 0))).toBe(1);
});

it("loses with its power what it had sent over a link that was cut, too", async () => {
  const world = await SimWorld.open();
  const [sender, reader] = [await world.client(), await world.client()];
  const heard = await world.hear(reader.bus, subject);
  reader.link.down = false;
  sender.bus.publish(subject, "before");
  await world.time.pass(1000);
  world.server.powerCut();
  world.server.start();
  await world.time.pass(5000);
  reader.link.down = true;
  await world.time.pass(5000);
  sender.bus.publish(subject, "after");
  await world.time.pass(10);
  expect(heard).toEqual(["after"]);
});

it("drops a client that does not take its messages, and tells it when it goes on", async () => {
  const world = await SimWorld.open({ mostWaiting: 100 });
  const [sender, reader] = [await world.client(), await world.client()];
  const heard = await world.hear(reader.bus, subject);
  reader.clock.pause();
  for (const n of oneTo(150)) sender.bus.publish(subject, n);
  await world.time.pass(1000);
  reader.clock.resume();
  await world.time.pass(1000);
  sender.bus.publish(subject, "after");
  await world.time.pass(10);
  expect([heard, world.server.counters.reconnects]).toEqual([["after"], 1]);
});
