import { expect, it } from "vitest";
import { createSimDriver } from "../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { driverConformance } from "./driver.ts";
import { specOf } from "./driver-support.ts";

const engine = new SimEngine(systemClock);

driverConformance("the simulation", (identity) => createSimDriver(engine, identity), {
  programs: {
    idle: { sim: {} },
    exits: (exitCode) => ({ sim: { exitAfter: "50ms", exitCode } }),
    stubborn: { sim: { ignoreStop: true } },
    noCommand: { sim: { failStart: true } },
  },
  idleCode: 143,
  readyText: "started",
  async killOutside(_, id) {
    engine.kill(id, 137);
  },
  engine: {
    lose: async () => engine.down(),
    regain: async () => engine.up(),
  },
  adopts: true,
  realPorts: false,
});

it("starts nothing after a power cut that was asked for before it", async () => {
  const identity = { cluster: "c", clusterUid: "uid", node: "n" };
  const driver = createSimDriver(engine, () => identity);
  const running = await driver.create(specOf({ sim: {} }));
  await driver.start(running);
  const starting = await driver.create(specOf({ sim: { startDelay: "20ms" } }));
  const start = driver.start(starting);
  engine.powerCut();
  await expect(start).rejects.toMatchObject({ code: "ENGINE_UNREACHABLE" });
  const states = engine.all().flatMap(({ id, state }) => (id === running || id === starting ? [state] : []));
  expect(states).toEqual(["exited", "created"]);
});
