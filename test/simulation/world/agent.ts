// A node of the world: the shipped agent with the sim driver over an engine that outlives it.
import type { NodeFacts } from "../../../schemas/generated/types.ts";
import { createAgent } from "../../../services/agent/agent.ts";
import type { Agent } from "../../../services/agent/agent.ts";
import { newMeter } from "../../../services/agent/figures.ts";
import type { Prober } from "../../../services/agent/prober.ts";
import { createSimDriver, simProber } from "../../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../../services/agent/runtime/sim/engine.ts";
import { watchLeader } from "../../../services/bus/leaderless.ts";
import type { Bus } from "../../../services/bus/port.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import { ProcessClock } from "../time.ts";
import { faltering, zones } from "../wishes.ts";
import type { EngineCalls } from "./engine-calls.ts";
import { throughCalls } from "./engine-calls.ts";
import type { Machine } from "./machine.ts";
import { Process } from "./process.ts";
import type { Run, Surroundings } from "./process.ts";

/** What an agent says of its machine. */
export type Facts = Omit<NodeFacts, "engine">;

/** How long the last words may take to leave. */
const goodbyeMs = 1000;

export class AgentProcess extends Process {
  readonly machine: Machine;
  readonly engine: SimEngine;
  readonly calls: EngineCalls;
  private agent: Agent | undefined;
  private bus: Bus | undefined;

  /** From its next start on. */
  facts: Facts;
  private readonly node: string;

  /** `node`: the id that it has, where that is not the machine's name. */
  constructor(surroundings: Surroundings, machine: Machine, calls: EngineCalls, facts: Facts, node = machine.name) {
    super(surroundings, machine.name);
    this.machine = machine;
    this.engine = new SimEngine(new ProcessClock(surroundings.timeline));
    this.calls = calls;
    this.facts = facts;
    this.node = node;
  }

  protected async main(run: Run, log: Logger): Promise<void> {
    const { cluster } = this.surroundings;
    const { clock, random, ids } = run;
    const agent = createAgent(
      {
        clock,
        random,
        ids,
        log,
        disk: this.machine.disk(run),
        meter: newMeter(),
        machineUsage: null,
        prober: this.prober(run),
        openDriver: (identity) => throughCalls(run, this.calls, createSimDriver(this.engine, identity)),
      },
      { cluster, node: this.node, data: "/data", facts: this.facts },
    );
    this.agent = agent;
    this.bus = undefined;
    await agent.start();
    const bus = await run.connect(`agent ${this.name}`, this.machine.link(), subjectsOf(cluster).node.inbox(this.node));
    if (!run.isAlive) return;
    watchLeader(bus, run, cluster);
    agent.attach(bus, bus);
    this.bus = bus;
    await new Promise<never>(() => {});
  }

  /** How long the container of a pod ran that has ended now, milliseconds; null when there is none. */
  lastRunMs(pod: string): number | null {
    const ended = this.engine.all().find(({ spec, state }) => spec.pod === pod && state === "exited");
    // It prints when it starts and when it ends.
    const [started, exited] = ended?.lines.slice(-2) ?? [];
    return started === undefined || exited === undefined ? null : exited.time - started.time;
  }

  protected async quit(): Promise<void> {
    const { agent, bus } = this;
    await agent?.stop();
    await bus?.flush(goodbyeMs).catch(() => {});
  }

  private prober(run: Run): Prober {
    const prober = simProber(this.engine);
    return {
      rechecks: true,
      check: (container, check) =>
        run.call(0.2, 0.2, async () => {
          if (this.falters(container.id, run)) return { ok: false, reached: false, why: `${check.what} falters` };
          return prober.check(container, check);
        }),
    };
  }

  /** Whether the program in a container does not answer just now, as its manifest has it. */
  private falters(id: string, run: Run): boolean {
    const { env } = this.engine.find(id)?.spec.container ?? {};
    const value = env?.find(({ name }) => name === faltering)?.value;
    if (value === undefined) return false;
    const [everyMs = 1, forMs = 0, laterMs = 0] = value.split(":").map(Number);
    return (run.clock.mono() + laterMs * numberOf(this.machine)) % everyMs < forMs;
  }
}

const numberOf = ({ name }: Pick<Machine, "name">): number => Number(name.slice(1));

/** Of a machine with so much to give. */
export const factsOf = ({ name, address }: Machine, cpuMillis: number): Facts => ({
  hostname: name,
  host: name.padEnd(16, "0"),
  advertise: address,
  runtime: "sim",
  fencing: true,
  capacity: { cpuMillis, memoryBytes: 8 * 1024 ** 3, pods: 250 },
  labels: { zone: zones[numberOf({ name }) % zones.length] ?? "" },
  version: "0.1.0",
  arch: "x64",
  os: "Linux",
});
