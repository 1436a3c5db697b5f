// What the agent reaches the world through. `main.ts` gives the real things, a simulation its own.
import type { NodeFacts, Usage } from "../../schemas/generated/types.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Disk } from "../kernel/disk.ts";
import type { Ids, Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import type { Meter } from "./figures.ts";
import type { Prober } from "./prober.ts";
import type { Driver, DriverIdentity } from "./runtime/driver.ts";

export interface AgentPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Logger;
  readonly prober: Prober;
  /** Where the agents of a process count. */
  readonly meter: Meter;
  /** Called once. The identity is null until the first assignment tells the cluster's uid. */
  readonly openDriver: (identity: () => DriverIdentity | null) => Driver;
  /** Use of the whole machine; null takes the sum of the pods. */
  readonly machineUsage: (() => Usage) | null;
}

export interface AgentOptions {
  /** The cluster's name. */
  readonly cluster: string;
  /** The node's id, a DNS label. */
  readonly node: string;
  /** Folder of this agent's journal, absolute; null keeps none: simulated containers end with the process anyway. */
  readonly data: string | null;
  /** What is known of the node besides its engine. The address may become another until the bus is attached. */
  readonly facts: Omit<NodeFacts, "engine">;
}
