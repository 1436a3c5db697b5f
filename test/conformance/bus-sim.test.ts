// The simulated bus, held to the sentences that real servers pass, with writes synced and not.
import { describe } from "vitest";
import { ensureStreams } from "../../services/bus/streams.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { Link } from "../simulation/bus/link.ts";
import { SimServer } from "../simulation/bus/server.ts";
import type { BusWorld } from "../support/bus-world.ts";
import { busConformance } from "./bus-conformance.ts";

async function openSimulated(synced: boolean): Promise<BusWorld> {
  const ports = { clock: systemClock, random: systemRandom };
  const server = new SimServer({ ...ports, synced, cluster: "test" });
  const connect: BusWorld["connect"] = (options = {}) =>
    server.connect({ ...ports, name: "test", link: new Link(), ...options });
  const bus = await connect();
  await ensureStreams(bus, "test", { replicas: 1 });
  return {
    cluster: "test",
    connect,
    kill: async () => server.kill(),
    start: async () => server.start(),
    close: () => bus.close(),
  };
}

for (const synced of [true, false]) {
  describe(`the simulated bus, ${synced ? "synced" : "not synced"}`, () => {
    busConformance(() => openSimulated(synced));
  });
}
