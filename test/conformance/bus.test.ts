// The real bus, held to the port, on the oldest supported server and on a current one.
import { afterAll } from "vitest";
import { openWorld } from "../support/bus.ts";
import { describeServers } from "../support/nats.ts";
import { busConformance } from "./bus-conformance.ts";

describeServers("the bus", (binary) => {
  const worlds: { close(): Promise<void> }[] = [];
  afterAll(async () => {
    for (const world of worlds) await world.close();
  });
  busConformance(async () => {
    const world = await openWorld(binary);
    worlds.push(world);
    return world;
  });
});
