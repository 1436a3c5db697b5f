// A leader that reads of another's election while the bus fails it: a whole controller over the simulated bus.
import { expect, it, vi } from "vitest";
import type { Event } from "../../schemas/generated/types.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { bytes } from "../support/bus-world.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import { startSimController } from "../support/sim-controllers.ts";

it("ends its term, though the look at the log's end in which it read of it failed", async () => {
  const world = await SimWorld.open();
  const leader = await world.client(undefined, "controller c1");
  const controller = await startSimController(world, leader, "c1");
  await world.time.pass(5000);
  expect(controller.leads).toBe(true);

  const { bus } = await world.client();
  const last = await world.last(bus);
  const { logId, id: prev } = JSON.parse(new TextDecoder().decode((await world.record(bus, last))?.data)) as Event;
  const epoch = last + 1;
  const elected: Event = {
    schema: 1,
    logId,
    epoch,
    id: "elected-elsewhere",
    prev,
    time: Math.round(leader.clock.wall()),
    cause: "election",
    items: [{ kind: "leader", verb: "elected", name: "c2" }],
  };
  const options = { expectedSequence: last, messageId: elected.id, timeoutMs: 2000 };
  const subject = names.event("leader", undefined, "c2", "elected");
  await world.time.until(bus.log(names.stream).append(subject, bytes(elected), options));

  // The first look reads the election, and then an answer is missing.
  let looks = 0;
  const log = leader.bus.log.bind(leader.bus);
  vi.spyOn(leader.bus, "log").mockImplementation((stream) => {
    const real = log(stream);
    const read: typeof real.read = async (...range) => {
      await real.read(...range);
      looks += 1;
      if (looks === 1) throw new SwainError("TIMEOUT", "as told");
    };
    return Object.assign(Object.create(real) as typeof real, { read });
  });
  bus.publish(names.leader, { logId, epoch, sequence: epoch, leader: "c2", time: leader.clock.wall() });
  // Nobody leads on in its place, so that it would stand again later.
  await world.time.pass(1500);
  expect(looks).toBeGreaterThan(0);
  expect(controller.leads).toBe(false);
  await world.time.until(controller.stop());
});
