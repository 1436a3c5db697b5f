// Controllers that stood in vain because the log was full, over the simulated bus: who made room stops doing so once another leads.
import { expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import type { Controller } from "../../services/controller/controller.ts";
import { noCounts } from "../../services/controller/counters.ts";
import type { Counters } from "../../services/controller/counters.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import type { Snapshotter } from "../../services/controller/snapshot/port.ts";
import { fresh } from "../support/bus-world.ts";
import { workloadManifest } from "../support/core.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import { startSimController } from "../support/sim-controllers.ts";
import { seeded } from "../support/sim-time.ts";
import { inlineSnapshotter, noSnapshotter } from "../support/snapshots.ts";

interface Started {
  readonly controller: Controller;
  readonly counters: Counters;
  /** How often it had the snapshots looked at, or one made. */
  asked: number;
}

async function start(world: SimWorld, id: string, makes: boolean): Promise<Started> {
  const client = await world.client(undefined, `controller ${id}`);
  const { clock } = client;
  const counters = noCounts();
  const real = makes ? inlineSnapshotter(client.bus, "test") : noSnapshotter;
  const started = { counters, asked: 0 };
  const snapshotter: Snapshotter = {
    check: () => (started.asked++, real.check()),
    make: (order) => (started.asked++, real.make(order)),
  };
  const controller = await startSimController(world, client, id, {
    clock: Object.assign(Object.create(clock) as typeof clock, { wall: () => Math.round(clock.wall()) }),
    random: seeded(id === "c2" ? 3 : 7),
    counters,
    snapshotter,
    policy: { ...snapshotPolicy, kept: 10 },
  });
  return Object.assign(started, { controller });
}

async function setRoom(world: SimWorld, bus: Bus, more: number): Promise<void> {
  const info = await world.time.until(
    bus.request(`$JS.API.STREAM.INFO.${names.stream}`, undefined, { timeoutMs: 2000 }),
  );
  const { config, state } = info.json() as { config: object; state: { bytes: number } };
  const body = { ...config, max_bytes: state.bytes + more };
  await world.time.until(bus.request(`$JS.API.STREAM.UPDATE.${names.stream}`, body, { timeoutMs: 2000 }));
}

it("leaves snapshots and log to the leader once there is one", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const apply = (value: number): Promise<unknown> => {
    const documents = [workloadManifest("web", { replicas: value })];
    const body = { operation: `operation-${fresh()}`, documents };
    return world.time.until(bus.request(names.api("_", "manifest", "apply"), body, { timeoutMs: 2000 }));
  };
  const first = await start(world, "c1", false);
  await world.time.pass(5000);
  for (let n = 1; n < 30; n++) await apply(n);
  const others = [await start(world, "c2", true), await start(world, "c3", true)];
  await setRoom(world, bus, 1);
  await world.time.until(first.controller.stop());
  await world.time.pass(120_000);
  expect(others.filter(({ counters }) => counters.snapshots > 0)).not.toHaveLength(0);
  await setRoom(world, bus, 1_000_000);
  await world.time.pass(60_000);
  const standby = others.find(({ controller }) => !controller.leads);
  expect(others.filter(({ controller }) => controller.leads)).toHaveLength(1);
  const before = standby?.asked;
  await world.time.pass(3_600_000);
  expect(standby?.asked).toBe(before);
  for (const { controller } of others) await world.time.until(controller.stop());
}, 60_000);
