// Whole controllers over the simulated bus, for tests of one of them.
import { Controller } from "../../services/controller/controller.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import type { Context } from "../../services/controller/ports.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { fresh } from "./bus-world.ts";
import { names } from "./sim-bus-world.ts";
import type { Client, SimWorld } from "./sim-bus-world.ts";
import { seeded } from "./sim-time.ts";
import { noSnapshotter } from "./snapshots.ts";

/** Starts one on that connection; it leads within five seconds where nobody else does. */
export function startSimController(
  world: SimWorld,
  { bus, clock }: Client,
  id: string,
  over: Partial<Context> = {},
): Promise<Controller> {
  const started = Controller.start({
    clock,
    ids: { next: fresh },
    random: seeded(3),
    log: silent,
    bus,
    cluster: "test",
    id,
    subjects: names,
    counters: noCounts(),
    measures: noMeasures(),
    packing: systemPacking,
    snapshotter: noSnapshotter,
    policy: snapshotPolicy,
    ...over,
  });
  return world.time.until(started);
}
