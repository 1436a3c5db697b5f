// A whole agent on virtual time, with a simulated engine and a disk in memory, on a simulated bus. Started again, it finds
// what the engine and the disk have.
import type { Agent } from "../../services/agent/agent.ts";
import { createAgent } from "../../services/agent/agent.ts";
import { newMeter } from "../../services/agent/figures.ts";
import type { DriverIdentity } from "../../services/agent/runtime/driver.ts";
import { createSimDriver, simProber } from "../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import { silent } from "../../services/kernel/log.ts";
import { MemoryDisk } from "./agent.ts";
import { names, type SimWorld } from "./sim-bus-world.ts";

const facts = {
  hostname: "machine",
  host: "0123456789abcdef",
  advertise: "127.0.0.1",
  runtime: "sim" as const,
  capacity: { cpuMillis: 1, memoryBytes: 1, pods: 100 },
  labels: {},
  version: "0.1.0",
  arch: "x64",
  os: "Linux",
};

export class SimAgent {
  readonly disk = new MemoryDisk();
  private readonly world: SimWorld;
  private engine: SimEngine | null = null;
  private agent: Agent | null = null;

  constructor(world: SimWorld) {
    this.world = world;
  }

  /** Stops the one before and starts another, on node `n1`. */
  async start(): Promise<void> {
    await this.agent?.stop();
    const { bus, clock } = await this.world.client(undefined, "agent", names.node.inbox("n1"));
    const engine = (this.engine ??= new SimEngine(clock));
    const { disk } = this;
    const ports = { clock, ids: { next: () => "boot" }, random: { next: () => 0.5 }, disk, log: silent };
    const drivers = { openDriver: (identity: () => DriverIdentity | null) => createSimDriver(engine, identity) };
    this.agent = createAgent(
      { ...ports, ...drivers, meter: newMeter(), prober: simProber(engine), machineUsage: null },
      { cluster: "test", node: "n1", data: "/data", facts },
    );
    await this.agent.start();
    this.agent.attach(bus, bus);
    await this.world.time.pass(5000);
  }

  /** Pods of which a container runs. */
  get running(): string[] {
    return (this.engine?.all() ?? []).flatMap(({ spec, state }) => (state === "running" ? spec.pod : []));
  }

  get generation(): number | undefined {
    return this.agent?.view().generation;
  }
}
