// An agent with a simulated engine, without a bus: time stands still until it is moved, and every call to the engine is
// counted. Starting it again is what a kill -9 of the agent leaves behind: the containers and the journal.
import type { AssignedPod, PodReport } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import { nothingHeld } from "../../services/agent/assignment.ts";
import { newMeter } from "../../services/agent/figures.ts";
import { Journal } from "../../services/agent/journal.ts";
import type { Lease } from "../../services/agent/pod/fence.ts";
import { Pods } from "../../services/agent/pods.ts";
import type { Driver } from "../../services/agent/runtime/driver.ts";
import type { Prober } from "../../services/agent/prober.ts";
import { createSimDriver, simProber } from "../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import type { SimContainer } from "../../services/agent/runtime/sim/engine.ts";
import type { Disk } from "../../services/kernel/disk.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Logger } from "../../services/kernel/log.ts";
import { ManualClock, MemoryDisk, settle } from "./agent.ts";

/** Calls that change something. */
const changing: ReadonlySet<string> = new Set(["pull", "create", "start", "stop", "remove"]);

const identity = { clusterUid: "uid", node: "n1" };

export class PodsWorld {
  readonly clock = new ManualClock();
  readonly disk = new MemoryDisk();
  readonly engine = new SimEngine(this.clock);
  /** Calls that change something, oldest first. */
  readonly calls: { readonly verb: string; readonly at: number; readonly what: string }[] = [];
  /** The last report of each pod, of all runs of the agent. */
  readonly reports = new Map<string, PodReport>();
  /** All states said of each pod, one after another. */
  readonly said = new Map<string, string[]>();
  /** What leaders have granted the node. */
  lease: Lease = { grantedAt: null, adoptedAt: -Infinity, sleptAt: null };
  /** What checks containers, instead of the simulated engine itself. */
  prober: Prober | null = null;
  /** The engine answers what it knows of a container after this. */
  inspecting: Promise<void> | null = null;
  /** Fences are looked after each second, as with pods that have one. */
  heeds = false;
  /** What the agent writes down. */
  log: Logger = silent;
  private pods: Pods | null = null;
  private journal: Journal | null = null;
  private items: ReadonlyMap<string, AssignedPod> = new Map();
  private generation = 0;

  /** Starts the agent's pods, from the journal if there is one. */
  async start(): Promise<void> {
    let alive = true;
    const disk: Disk = {
      read: (path) => this.disk.read(path),
      writeAtomic: async (path, content) => (alive ? this.disk.writeAtomic(path, content) : undefined),
      remove: (path) => this.disk.remove(path),
      list: (folder) => this.disk.list(folder),
    };
    const journal = new Journal(disk, "/data", this.clock, silent, newMeter());
    const { held, records } = await journal.read();
    const unused = (): never => {
      throw new Error("not part of this world");
    };
    const ports = {
      clock: this.clock,
      ids: { next: () => "boot" },
      random: { next: () => 0.5 },
      disk,
      log: this.log,
      prober: this.prober ?? simProber(this.engine),
      meter: newMeter(),
      openDriver: unused,
      machineUsage: null,
    };
    const driver = this.counted(
      createSimDriver(this.engine, () => identity),
      () => alive,
    );
    const pods = new Pods(
      ports,
      driver,
      { ...identity, cluster: "test", advertise: "10.0.0.1" },
      {
        onReport: (key, report) => {
          if (!alive) return;
          this.reports.set(key, report);
          this.said.set(key, [...(this.said.get(key) ?? []), report.state]);
        },
        onEngine: () => {},
        saveSoon: () => journal.saveSoon(),
        save: () => journal.saveRecords(),
        lease: () => this.lease,
      },
      records,
    );
    this.die = () => {
      alive = false;
    };
    journal.source(() => ({ logId: "log", engine: "sim", records: pods.records() }));
    this.pods = pods;
    this.journal = journal;
    if (this.heeds) this.cancelHeeding = this.clock.every(bounds.leaseMs, () => pods.heedFences(false));
    pods.start();
    pods.take(held.items, false);
    await settle();
  }

  private die: () => void = () => {};
  private cancelHeeding: () => void = () => {};

  /** What the leader tells; `full` as a sync does. */
  async tell(pods: readonly AssignedPod[], full = true): Promise<void> {
    this.items = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
    this.generation += 1;
    const held = { ...nothingHeld, logId: "log", clusterUid: "uid", generation: this.generation, items: this.items };
    await this.journal?.writeAssignment(held);
    this.pods?.take(this.items, full);
    await settle();
  }

  /** The agent ends without a word: what it had not written is lost, and what the engine was asked for goes on. */
  async crash(): Promise<void> {
    this.cancelHeeding();
    this.die();
    void this.pods?.close();
    await settle();
  }

  /** Lets go of all pods, as an agent that stops. */
  async close(): Promise<void> {
    await this.pods?.close();
  }

  /** Stops and removes all pods, as an agent that takes them along. */
  async stopAll(): Promise<void> {
    await this.pods?.stopAll();
  }

  /** There is a lease again. */
  regained(): void {
    this.pods?.heedFences(true);
  }

  /** Containers of a pod. */
  of(key: string): SimContainer[] {
    return this.engine.all().filter((container) => container.spec.pod === key);
  }

  running(key: string): SimContainer[] {
    return this.of(key).filter((container) => container.state === "running");
  }

  /** What its heartbeat would say of the engine. */
  get trouble(): string | undefined {
    return this.pods?.lastingTrouble()?.code;
  }

  state(key: string): string | undefined {
    return this.reports.get(key)?.state;
  }

  private counted(driver: Driver, isAlive: () => boolean): Driver {
    return new Proxy(driver, {
      get: (target, name: keyof Driver) => {
        const member: unknown = target[name];
        if (typeof member !== "function") return member;
        return (...args: unknown[]): unknown => {
          // What had been begun before goes on, and asks for nothing.
          if (!isAlive() && name !== "close") return new Promise(() => {});
          if (changing.has(name)) {
            const what = typeof args[0] === "string" ? args[0] : (args[0] as { pod: string }).pod;
            this.calls.push({ verb: name, at: this.clock.mono(), what });
          }
          const call = (): unknown => (member as (...all: unknown[]) => unknown).apply(target, args);
          return name === "inspect" && this.inspecting !== null ? this.inspecting.then(call) : call();
        };
      },
    });
  }
}
