// A container engine that does no work: one node's simulated containers, in memory. They outlive an agent that is started
// again in the same process, as real ones do, but end with the process. Containers that run cost a small object and no
// timer, so a process holds thousands of nodes. Tests and the simulation reach the faults here; the agent uses `driver.ts`.
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { sleep } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { ContainerInfo, ContainerSpec, DriverEvents, DriverIdentity, PublishedPort } from "../driver.ts";
import type { Behaviour } from "./behaviour.ts";
import { behaviourOf } from "./behaviour.ts";

/** Published ports are taken from here on. */
const firstHostPort = 20_000;
const lastHostPort = 60_000;
/** Lines of output kept of a container. */
const keptLines = 100;

export interface SimContainer {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly owner: DriverIdentity;
  /** Not known before it is asked for. */
  behaviour: Behaviour | undefined;
  state: ContainerInfo["state"];
  exitCode: number | null;
  oomKilled: boolean;
  ports: PublishedPort[];
  /** Monotonic time of the last start. */
  startedAt: number;
  /** The last lines of its output, and how many it ever printed. */
  readonly lines: SimLine[];
  printed: number;
  /** Starts so far. */
  runs: number;
  /** Called when it ends or prints. */
  readonly waiters: Set<() => void>;
  ending: Cancel | null;
}

interface SimLine {
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The run that printed it, from 1. */
  readonly run: number;
}

interface Watcher {
  readonly identity: () => DriverIdentity | null;
  readonly events: DriverEvents;
}

export class SimEngine {
  private readonly clock: Clock;
  private readonly containers = new Map<string, SimContainer>();
  private readonly watchers = new Set<Watcher>();
  private readonly usedPorts = new Set<number>();
  private nextPort = firstHostPort;
  private made = 0;
  private reachable = true;
  private powerCuts = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  // What a test may do to it.

  /** Ends a running container as a crash would. Unknown or ended ones are left alone. */
  kill(id: string, exitCode: number, oomKilled = false): void {
    const container = this.containers.get(id);
    if (container?.state === "running") this.ended(container, exitCode, oomKilled);
  }

  /** The machine loses its power: containers end, and calls under way come to nothing. */
  powerCut(): void {
    this.powerCuts += 1;
    for (const { id } of this.all()) this.kill(id, 137);
  }

  /** The engine stops answering; its containers go on. */
  down(): void {
    this.reachable = false;
  }

  /** The engine answers again. */
  up(): void {
    if (this.reachable) return;
    this.reachable = true;
    for (const { events } of this.watchers) void this.later(() => events.onResync());
  }

  /** Every container there is, of all clusters and nodes. */
  all(): readonly SimContainer[] {
    return [...this.containers.values()];
  }

  // What the driver does with it. Everything but `watch` and `find` throws ENGINE_UNREACHABLE while it is down.

  check(): void {
    if (!this.reachable) throw new SwainError("ENGINE_UNREACHABLE", "the simulated engine is down");
  }

  find(id: string): SimContainer | undefined {
    return this.containers.get(id);
  }

  watch(watcher: Watcher): Cancel {
    this.watchers.add(watcher);
    void this.later(() => watcher.events.onResync());
    return () => this.watchers.delete(watcher);
  }

  /** Waits as the manifest asks; the engine may go down meanwhile. */
  async delay(ms: number, signal?: AbortSignal): Promise<void> {
    const { powerCuts } = this;
    if (ms > 0) await sleep(this.clock, ms, signal);
    if (powerCuts !== this.powerCuts) throw new SwainError("ENGINE_UNREACHABLE", "the simulated engine was off");
    this.check();
  }

  create(spec: ContainerSpec, owner: DriverIdentity): SimContainer {
    this.made += 1;
    const container: SimContainer = {
      id: `sim-${owner.node}-${this.made}`,
      spec,
      owner,
      behaviour: undefined,
      state: "created",
      exitCode: null,
      oomKilled: false,
      ports: [],
      startedAt: 0,
      lines: [],
      printed: 0,
      runs: 0,
      waiters: new Set(),
      ending: null,
    };
    this.containers.set(container.id, container);
    return container;
  }

  /** Starts it; one that runs is left alone. Throws PORT_TAKEN. */
  run(container: SimContainer): void {
    if (container.state === "running") return;
    container.ports = this.publish(container.spec);
    container.state = "running";
    container.exitCode = null;
    container.oomKilled = false;
    container.startedAt = this.clock.mono();
    container.runs += 1;
    this.print(container, "started");
    const { exitMs, exitCode } = this.behaviour(container);
    if (exitMs !== null) container.ending = this.clock.after(exitMs, () => this.ended(container, exitCode, false));
    this.tell(container);
  }

  ended(container: SimContainer, exitCode: number, oomKilled: boolean): void {
    container.ending?.();
    container.ending = null;
    for (const { hostPort } of container.ports) this.usedPorts.delete(hostPort);
    container.ports = [];
    container.state = "exited";
    container.exitCode = exitCode;
    container.oomKilled = oomKilled;
    this.print(container, `exited with code ${exitCode}`);
    this.tell(container);
  }

  remove(container: SimContainer): void {
    if (container.state === "running") this.ended(container, 137, false);
    this.containers.delete(container.id);
    for (const waiter of container.waiters) waiter();
    this.tell(container);
  }

  behaviour(container: SimContainer): Behaviour {
    return (container.behaviour ??= behaviourOf(container.spec.container));
  }

  /** True when its ports accept connections. */
  isReady(container: SimContainer): boolean {
    const { readyMs } = this.behaviour(container);
    return container.state === "running" && readyMs !== null && this.clock.mono() - container.startedAt >= readyMs;
  }

  private publish(spec: ContainerSpec): PublishedPort[] {
    const ports: PublishedPort[] = [];
    for (const { name, containerPort, hostPort } of spec.container.ports ?? []) {
      const published = hostPort ?? this.freePort();
      if (this.usedPorts.has(published)) {
        for (const port of ports) this.usedPorts.delete(port.hostPort);
        throw new SwainError("PORT_TAKEN", `port ${published} of the node is taken`);
      }
      this.usedPorts.add(published);
      const own = containerPort === undefined ? {} : { containerPort };
      ports.push({ name, ...own, hostPort: published, local: "sim", localPort: containerPort ?? published });
    }
    return ports;
  }

  private freePort(): number {
    for (let tries = firstHostPort; tries < lastHostPort; tries += 1) {
      const port = this.nextPort;
      this.nextPort = port + 1 < lastHostPort ? port + 1 : firstHostPort;
      if (!this.usedPorts.has(port)) return port;
    }
    throw new SwainError("PORT_TAKEN", "the simulated node has no free port left");
  }

  private print(container: SimContainer, text: string): void {
    const line = `${container.spec.pod} ${container.spec.container.name}: ${text}\n`;
    container.lines.push({ text: line, time: this.clock.wall(), run: container.runs });
    container.printed += 1;
    if (container.lines.length > keptLines) container.lines.shift();
    for (const waiter of container.waiters) waiter();
  }

  /** A real engine tells of a change after it happened, never in the middle of a call. */
  private tell(container: SimContainer): void {
    for (const watcher of this.watchers) {
      const identity = watcher.identity();
      if (identity === null || !isOf(container, identity)) continue;
      void this.later(() => {
        if (this.reachable && this.watchers.has(watcher)) watcher.events.onChange(container.id, container.spec.pod);
      });
    }
  }

  private async later(fn: () => void): Promise<void> {
    await Promise.resolve();
    fn();
  }
}

export function isOf(container: SimContainer, identity: DriverIdentity): boolean {
  return container.owner.clusterUid === identity.clusterUid && container.owner.node === identity.node;
}
