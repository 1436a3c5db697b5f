import { createSimDriver } from "../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { driverConformance } from "./driver.ts";

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
