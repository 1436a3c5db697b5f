// A leader that cannot hear anybody for a while takes nobody's silence for an answer: a whole controller over the simulated bus.
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { Controller } from "../../services/controller/controller.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { silent } from "../../services/kernel/log.ts";
import { fresh } from "../support/bus-world.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import type { Client } from "../support/sim-bus-world.ts";
import { seeded } from "../support/sim-time.ts";
import { noSnapshotter } from "../support/snapshots.ts";

const decoder = new TextDecoder();
const alone = {
  apiVersion: "swain/v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { ports: [{ port: 8080, targetPort: "http" }] },
};

let world: SimWorld;
let leader: Client;
let other: Client;
let controller: Controller;
beforeEach(async () => {
  world = await SimWorld.open();
  leader = await world.client(undefined, "controller c1");
  other = await world.client();
  controller = await world.time.until(
    Controller.start({
      clock: leader.clock,
      ids: { next: fresh },
      random: seeded(3),
      log: silent,
      bus: leader.bus,
      cluster: "test",
      id: "c1",
      subjects: names,
      counters: noCounts(),
      measures: noMeasures(),
      packing: systemPacking,
      snapshotter: noSnapshotter,
      policy: snapshotPolicy,
    }),
  );
  await world.time.pass(5000);
});
afterEach(() => world.time.until(controller.stop()));

async function ask<T>(namespace: string, resource: string, verb: string, body: unknown): Promise<T> {
  const answer = other.bus.request(names.api(namespace, resource, verb), body, { timeoutMs: 2000 });
  return (await answer).json() as T;
}

async function apply(...documents: unknown[]): Promise<void> {
  const body = { operation: `operation-${fresh()}`, documents };
  expect(await world.time.until(ask("_", "manifest", "apply", body))).toHaveProperty("sequence");
}

const register = (): Promise<unknown> =>
  ask("default", "endpoint", "register", {
    service: "web",
    name: "outside-1",
    addresses: [{ name: "http", host: "127.0.0.1", port: 9001 }],
    ttl: "5s",
  });

/** The log's events that say this. */
async function events(text: string): Promise<string[]> {
  const found: string[] = [];
  const bus: Bus = (await world.client()).bus;
  await world.time.until(bus.log(names.stream).read(1, ({ data }) => void found.push(decoder.decode(data))));
  return found.filter((event) => event.includes(text));
}

it("a leader that stood still takes that time off before it plans, whichever of its timers comes first", async () => {
  await apply(alone);
  for (let turn = 0; turn < 5; turn++) {
    await world.time.pass(60);
    await world.time.until(register());
    // The planner's timer is the next one, mostly; the guard's comes each quarter of a second.
    await world.time.pass(4990);
    leader.clock.pause();
    await world.time.pass(6000);
    await leader.clock.resumeInOrder();
    await world.time.until(register());
    await world.time.pass(1000);
    expect(await events("EXPIRED")).toEqual([]);
  }
});
