// A leader that reads in the log what it did not write, also while the bus fails it: a whole controller over the simulated bus.
import { expect, it, vi } from "vitest";
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Logger } from "../../services/kernel/log.ts";
import { bytes } from "../support/bus-world.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import { startSimController } from "../support/sim-controllers.ts";

const elected: EventItem = { kind: "leader", verb: "elected", name: "c2" };
const unasked: EventItem = {
  kind: "service",
  verb: "applied",
  namespace: "default",
  name: "web",
  labels: {},
  spec: { selector: { workload: "web" }, ports: [{ name: "80", port: 80, targetPort: "http" }] },
};

it.each([
  ["of another's election", elected, 0, "deposed"],
  ["of another's election, in a look at the log's end that failed", elected, 1, "deposed"],
  ["what another wrote in its name", unasked, 0, "refold"],
  ["what another wrote in its name, in a look at the log's end that failed", unasked, 1, "refold"],
])("ends its term where it reads %s", async (_what, item, failing, end) => {
  const world = await SimWorld.open();
  const leader = await world.client(undefined, "controller c1");
  const ends: unknown[] = [];
  const info: Logger["info"] = (message, fields) => {
    if (message === "not leading any more") ends.push(fields?.["why"]);
  };
  const controller = await startSimController(world, leader, "c1", { log: { ...silent, info } });
  await world.time.pass(5000);
  expect(controller.leads).toBe(true);

  const { bus } = await world.client();
  const last = await world.last(bus);
  const record = await world.record(bus, last);
  const { logId, id: prev, epoch: own } = JSON.parse(new TextDecoder().decode(record?.data)) as Event;
  const later = last + 1;
  const event: Event = {
    schema: 1,
    logId,
    epoch: item === elected ? later : own,
    id: "written-elsewhere",
    prev,
    time: Math.round(leader.clock.wall()),
    cause: item === elected ? "election" : "api",
    items: [item],
  };
  const options = { expectedSequence: last, messageId: event.id, timeoutMs: 2000 };
  await world.time.until(bus.log(names.stream).append(names.eventBatch, bytes(event), options));

  // The look reads what was written; where it fails, an answer is missing then.
  let looks = 0;
  const log = leader.bus.log.bind(leader.bus);
  vi.spyOn(leader.bus, "log").mockImplementation((stream) => {
    const real = log(stream);
    const read: typeof real.read = async (...range) => {
      await real.read(...range);
      looks += 1;
      if (looks <= failing) throw new SwainError("TIMEOUT", "as told");
    };
    return Object.assign(Object.create(real) as typeof real, { read });
  });
  bus.publish(names.leader, { logId, epoch: later, sequence: later, leader: "c2", time: leader.clock.wall() });
  // Nobody leads on in its place, so that it would stand again later.
  await world.time.pass(1500);
  expect(looks).toBeGreaterThan(0);
  expect(controller.leads).toBe(false);
  expect(ends).toEqual([end]);
  await world.time.until(controller.stop());
});

it("looks at the log's end once more where it lost the connection meanwhile", async () => {
  const world = await SimWorld.open();
  const leader = await world.client(undefined, "controller c1");
  const controller = await startSimController(world, leader, "c1");
  await world.time.pass(5000);
  expect(controller.leads).toBe(true);
  const looks: number[] = [];
  const log = leader.bus.log.bind(leader.bus);
  vi.spyOn(leader.bus, "log").mockImplementation((stream) => {
    const real = log(stream);
    const get: typeof real.get = async (sequence) => {
      const record = await real.get(sequence);
      looks.push(leader.bus.breaks());
      if (looks.length > 1) return record;
      leader.link.reset();
      // Long enough for it to be connected again.
      await new Promise<void>((resolve) => void leader.clock.after(1000, resolve));
      return record;
    };
    return Object.assign(Object.create(real) as typeof real, { get });
  });
  const { bus } = await world.client();
  const record = await world.record(bus, await world.last(bus));
  const { logId } = JSON.parse(new TextDecoder().decode(record?.data)) as Event;
  const beat = { logId, epoch: 1000, sequence: 1000, leader: "c2", time: leader.clock.wall() };
  bus.publish(names.leader, beat);
  await world.time.pass(3000);
  expect(leader.bus.state()).toBe("connected");
  expect(looks).toEqual([0, 1]);
  await world.time.until(controller.stop());
});
