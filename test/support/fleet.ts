// A cluster whose parts are started by hand, each a process on one machine or several, against nats-servers of the test's
// own: as somebody runs it in earnest. The test speaks with it over the bus, as the CLI does, and reads the log itself.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../../cli/client.ts";
import type { Event, PodObject } from "../../schemas/generated/types.ts";
import type { LogRecord } from "../../services/bus/port.ts";
import type { Cancel } from "../../services/kernel/clock.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import { connectTo } from "./bus.ts";
import { census } from "./census.ts";
import { PartProcess } from "./part.ts";

/** A record of the log as the test read it. */
export interface Logged {
  readonly sequence: number;
  /** When the server took it, milliseconds since 1970. */
  readonly time: number;
  readonly event: Event;
}

/** Who leads from which record on. */
export interface Election extends Logged {
  readonly leader: string;
}

export interface FleetOptions {
  /** Addresses of the servers, separated by commas. */
  readonly servers: string;
  /** Of the cluster: unusual, because its pods are found by it. */
  readonly name: string;
  readonly controllers: number;
  readonly agents: number;
  /** Copies of the log and the buckets. */
  readonly replicas?: number;
  readonly proxy?: boolean;
}

/** A service that nobody serves. */
export function unserved(name: string, port: number): unknown {
  const spec = { selector: { workload: "none" }, ports: [{ port, targetPort: port }] };
  return { apiVersion: "swain/v1", kind: "Service", metadata: { name }, spec };
}

export class Fleet {
  readonly client: Client;
  readonly parts = new Map<string, PartProcess>();
  /** Every record of the log so far, in order. */
  readonly records: Logged[] = [];
  readonly elections: Election[] = [];
  private readonly options: FleetOptions;
  private readonly folder = mkdtempSync(join(tmpdir(), "swain-fleet-"));
  private unfollow: Cancel = () => {};

  private constructor(options: FleetOptions, client: Client) {
    this.options = options;
    this.client = client;
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const { name, servers } = options;
    const bus = await connectTo(servers, { cluster: name });
    const ports = { clock: systemClock, ids: systemIds, random: systemRandom };
    const { signal } = new AbortController();
    const fleet = new Fleet(options, new Client({ ...ports, bus, cluster: name, signal }));
    try {
      const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
      await Promise.all(numbers(options.controllers).map((number) => fleet.controller(`controller-${number}`)));
      fleet.follow();
      const runs = numbers(options.agents).map((number) => fleet.agent(`node-${number}`));
      await Promise.all(options.proxy === true ? [...runs, fleet.part("proxy", "proxy-1", "--all")] : runs);
      return fleet;
    } catch (error) {
      await fleet.dispose();
      throw error;
    }
  }

  /** Starts a controller and waits until it follows the log or leads; `servers`: addresses other than those of the other parts. */
  controller(id: string, servers = this.options.servers): Promise<PartProcess> {
    return this.started(servers, "controller", id, "--replicas", String(this.options.replicas ?? 1));
  }

  get(id: string): PartProcess {
    const part = this.parts.get(id);
    if (part === undefined) throw new Error(`no part is named ${id}`);
    return part;
  }

  /** The newest leader in the log. */
  get leader(): Election {
    const last = this.elections.at(-1);
    if (last === undefined) throw new Error("nobody was elected");
    return last;
  }

  /** Applies a service that nobody serves: a change that starts and stops nothing. Returns its sequence in the log. */
  async mark(name: string, port: number, operation: string = systemIds.next()): Promise<number> {
    const documents = [unserved(name, port)];
    return (await this.client.change("_", "manifest", "apply", { operation, documents })).sequence;
  }

  async pods(): Promise<PodObject[]> {
    return (await this.client.list("_", "pod")) as unknown as PodObject[];
  }

  /** Waits until a leader was heard that often. */
  beats(count: number): Promise<void> {
    const { bus, subjects } = this.client;
    let heard = 0;
    return new Promise((resolve) => {
      const stop = bus.subscribe(subjects.leader, () => {
        heard++;
        if (heard < count) return;
        stop();
        resolve();
      });
    });
  }

  /** What runs of the workload's pods: their first processes, by pod. */
  running(workload: string): Record<string, string[]> {
    const found = [...census(this.options.name)].filter(([pod]) => pod.startsWith(`${workload}-`));
    return Object.fromEntries(found.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }

  async dispose(): Promise<void> {
    this.unfollow();
    // Agents take their pods along; a controller that stands still ends by nothing but this.
    const stop = async ([id, part]: [string, PartProcess]): Promise<void> =>
      part.stop(id.startsWith("controller-") ? "SIGKILL" : "SIGTERM");
    await Promise.all([...this.parts].map(stop));
    await this.client.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Starts an agent; `servers`: addresses other than those of the other parts. */
  agent(id: string, servers = this.options.servers): Promise<PartProcess> {
    return this.started(servers, "agent", id, "--runtime", "process", "--stop-pods");
  }

  private part(kind: string, id: string, ...more: string[]): Promise<PartProcess> {
    return this.started(this.options.servers, kind, id, ...more);
  }

  private async started(servers: string, kind: string, id: string, ...more: string[]): Promise<PartProcess> {
    const args = [kind, "--server", servers, "--cluster", this.options.name, "--id", id, "--log-format", "json"];
    const part = await PartProcess.start([...args, ...(kind === "controller" ? [] : this.ownFolder(id)), ...more]);
    this.parts.set(id, part);
    return part;
  }

  private ownFolder(id: string): string[] {
    return ["--data", join(this.folder, id)];
  }

  /** The whole log, read now. */
  async log(): Promise<Logged[]> {
    const { bus, subjects } = this.client;
    const records: Logged[] = [];
    await bus.log(subjects.stream).read(1, (record) => records.push(loggedOf(record)));
    return records;
  }

  private follow(): void {
    const { bus, subjects } = this.client;
    this.unfollow = bus.log(subjects.stream).follow(1, (record) => {
      const logged = loggedOf(record);
      this.records.push(logged);
      const elected = logged.event.items.find(({ kind, verb }) => kind === "leader" && verb === "elected");
      if (elected !== undefined) this.elections.push({ ...logged, leader: elected.name });
    });
  }
}

function loggedOf({ sequence, time, data }: LogRecord): Logged {
  return { sequence, time, event: JSON.parse(new TextDecoder().decode(data)) as Event };
}
