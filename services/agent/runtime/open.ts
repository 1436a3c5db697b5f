// Chooses the driver of an agent and what goes with it. Not a driver itself. Called by the agent's main.ts.
import type { Clock } from "../../kernel/clock.ts";
import type { HttpProbe } from "../../kernel/http-probe.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Sockets } from "../../kernel/sockets.ts";
import type { AgentPorts } from "../ports.ts";
import { networkProber } from "../prober.ts";
import { createDockerDriver } from "./docker/driver.ts";
import type { Driver } from "./driver.ts";
import type { Cgroups } from "./process/cgroups.ts";
import { createProcessDriver } from "./process/driver.ts";
import { createSimDriver, simProber } from "./sim/driver.ts";
import { SimEngine } from "./sim/engine.ts";

interface RuntimeParts {
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly httpProbe: HttpProbe;
  readonly log: Logger;
  /** The agent's data folder. */
  readonly data: string;
  /** For the process runtime: what it may limit. */
  readonly cgroups: Cgroups;
  /** Where the container engine is, if the user says so. */
  readonly engine?: string | undefined;
}

/** The driver and prober ports for that runtime. Nothing is opened before the agent asks for its driver. */
export function openRuntime(
  runtime: Driver["runtime"],
  parts: RuntimeParts,
): Pick<AgentPorts, "openDriver" | "prober"> {
  switch (runtime) {
    case "docker": {
      const memory = `${parts.data}/engine`;
      const place = parts.engine === undefined ? { memory } : { memory, socket: parts.engine };
      return {
        openDriver: (identity) => createDockerDriver({ ...parts, ...place, identity }),
        prober: networkProber(parts.sockets, parts.httpProbe),
      };
    }
    case "process":
      return {
        openDriver: (identity) => createProcessDriver({ ...parts, identity }),
        prober: networkProber(parts.sockets, parts.httpProbe),
      };
    case "sim": {
      const engine = new SimEngine(parts.clock);
      return { openDriver: (identity) => createSimDriver(engine, identity), prober: simProber(engine) };
    }
  }
}
