// What every bus must do, whatever is behind it: real NATS servers and the simulated one run the same sentences.
import { afterAll, beforeAll } from "vitest";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { BusWorld, OpenedWorld } from "../support/bus-world.ts";
import { bucketConformance } from "./bus-bucket.ts";
import { logConformance } from "./bus-log.ts";
import { messageConformance } from "./bus-messages.ts";
import { restartConformance } from "./bus-restart.ts";

/** Declares the suite on a world made for it alone. */
export function busConformance(makeWorld: () => Promise<BusWorld>): void {
  let opened: OpenedWorld;

  beforeAll(async () => {
    const world = await makeWorld();
    const [bus, other] = [await world.connect(), await world.connect()];
    opened = { world, names: subjectsOf(world.cluster), bus, other };
  });
  afterAll(() => opened?.world.close());

  messageConformance(() => opened);
  logConformance(() => opened);
  bucketConformance(() => opened);
  restartConformance(() => opened);
}
