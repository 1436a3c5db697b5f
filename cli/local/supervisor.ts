// A whole cluster on this machine: nats-server, controllers, agents and a proxy, each a process of its own, started in
// order, started again when they die, and stopped in order. Not a part of the cluster itself: everything it starts goes on
// without it. `swain up` and `swain demo` call it.
import { join } from "node:path";
import { seedFile } from "../../services/bus/embedded/roles.ts";
import { asSwainError, SwainError } from "../../services/kernel/errors.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { makeFolder } from "../../services/kernel/node/folder.ts";
import { nodeAddress } from "./addresses.ts";
import { Child } from "./child.ts";
import { launchPart } from "./launch.ts";
import type { LocalPaths, ProcessMark, UpRecord } from "./layout.ts";
import { localPaths, readRecord } from "./layout.ts";
import { endLeftovers, stopMs } from "./leftovers.ts";
import { watchDisk } from "./disk-watch.ts";
import { dropLock, takeLock } from "./lock.ts";
import { rotate } from "./log-files.ts";
import type { Part, PartsOptions } from "./parts.ts";
import { agentParts, controllerParts, proxyPart, rolesFor } from "./parts.ts";
import { signal } from "./processes.ts";
import { reloadServer } from "./reload.ts";
import type { Chosen } from "./runtime.ts";
import type { Registrar } from "./registrar.ts";
import type { Outside, PreparedServer } from "./server.ts";
import { prepareServer } from "./server.ts";

export interface UpOptions {
  readonly data: string;
  readonly cluster: string;
  /** A NATS server that runs already; without it one is started. */
  readonly server?: string | undefined;
  /** Credentials for that server, used by all parts. */
  readonly creds?: string | undefined;
  readonly natsServer?: string | undefined;
  readonly port?: number | undefined;
  readonly controllers: number;
  /** A backup to begin with. */
  readonly restore?: string | undefined;
  readonly nodes: number;
  readonly chosen: Chosen;
  /** Where the container engine is, if the user says so. */
  readonly engine?: string | undefined;
  readonly keepPods: boolean;
  readonly restart: boolean;
  readonly proxyHost: string;
  /** How other machines reach this cluster; undefined to stay on loopback. */
  readonly outside?: Outside | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface LocalUp {
  readonly server: string;
  readonly paths: LocalPaths;
  /** What runs now. */
  record(): UpRecord;
  /** Stops everything in order; resolves when all of it is gone. Rejects with PODS_LEFT when agents did not stop all their pods. */
  stop(): Promise<void>;
}

/** A server that is told to end takes some hundred milliseconds. */
const serverEndMs = 5000;
/** Log files are looked at this often. */
const rotateMs = 30_000;

/**
 * Starts the cluster and resolves when all of it is ready. Rejects with ALREADY_RUNNING, or with the error of the part that
 * did not start, every other part stopped again; pods stay, unless it was told to stop.
 */
export async function startLocal(options: UpOptions): Promise<LocalUp> {
  const paths = localPaths(options.data);
  const own = takeLock(paths);
  try {
    makeFolder(paths.log);
    const last = readRecord(options.data);
    if (last !== null) await clearLeftovers(last, options);
    const supervisor = new Supervisor(options, paths, own);
    try {
      await supervisor.start();
      return supervisor;
    } catch (error) {
      await supervisor.stop().catch((left: unknown) => options.say(asSwainError(left).message));
      throw error;
    }
  } catch (error) {
    dropLock(paths, own);
    throw error;
  }
}

async function clearLeftovers(last: UpRecord, options: UpOptions): Promise<void> {
  // Their pods stay: the new agents find them by label or journal and go on with them.
  const { stopped, stuck } = await endLeftovers(last, true);
  if (stopped.length > 0) options.say(`ended what an earlier run left behind: ${namesOf(stopped)}`);
  if (stuck.length > 0) throw new SwainError("ALREADY_RUNNING", `${namesOf(stuck)} of an earlier run do not end`);
}

/** These agents, as `agent-node-1 (killed)`, ended without having stopped all their pods. */
export const podsLeftBy = (agents: readonly string[]): SwainError =>
  new SwainError("PODS_LEFT", `agents ended before all their pods, which may run on: ${agents.join(", ")}`);

export function namesOf(marks: readonly { readonly name: string; readonly pid: number }[]): string {
  return marks.map((mark) => `${mark.name} (${mark.pid})`).join(", ");
}

class Supervisor implements LocalUp {
  readonly paths: LocalPaths;
  server = "";
  private readonly options: UpOptions;
  private readonly own: ProcessMark;
  private readonly children: { nats: Child[]; controllers: Child[]; agents: Child[]; proxies: Child[] } = {
    nats: [],
    controllers: [],
    agents: [],
    proxies: [],
  };
  private ready = false;
  /** All children have ended: from here on nothing is written below the data folder. */
  private over = false;
  private writing: Promise<void> = Promise.resolve();
  private rotating: Promise<void> = Promise.resolve();
  private stopped: Promise<void> | undefined;
  private registrar: Registrar | undefined;
  private readonly rotation: NodeJS.Timeout;
  private unwatchDisk: () => void = () => {};
  /** When this process ends without having stopped its children, they go at once; pods stay for the next agents. */
  private readonly onExit = (): void => {
    for (const child of this.all()) {
      const mark = child.mark();
      if (mark !== undefined) signal(mark, "SIGKILL");
    }
  };

  constructor(options: UpOptions, paths: LocalPaths, own: ProcessMark) {
    this.options = options;
    this.paths = paths;
    this.own = own;
    this.rotation = setInterval(() => {
      this.rotating = this.rotateLogs();
    }, rotateMs);
    process.once("exit", this.onExit);
  }

  async start(): Promise<void> {
    const { options } = this;
    const prepared = options.server === undefined ? await this.prepare() : undefined;
    this.server = prepared?.url ?? options.server ?? "";
    if (prepared !== undefined) {
      await this.add("nats", this.natsChild(prepared));
      this.unwatchDisk = watchDisk({
        folder: this.paths.nats,
        say: options.say,
        restart: () => this.restartServer(),
      });
    }
    const parts: PartsOptions = {
      paths: this.paths,
      server: this.server,
      cluster: options.cluster,
      ownServer: prepared !== undefined,
      creds: options.creds,
      controllers: options.controllers,
      nodes: options.nodes,
      runtime: options.chosen.runtime,
      engine: options.engine,
      keepPods: options.keepPods,
      proxyHost: options.proxyHost,
      advertise: nodeAddress(options.outside?.listen, options.outside?.hosts ?? []),
    };
    if (options.restore !== undefined) await this.restore(options.restore, parts);
    await this.addAll("controllers", controllerParts(parts));
    await allOrFirstError([this.addAll("agents", agentParts(parts)), this.addAll("proxies", [proxyPart(parts)])]);
    await this.join(parts);
    if (prepared !== undefined && options.outside !== undefined) await this.register(prepared);
    this.ready = true;
    await this.write();
  }

  private async restore(file: string, { server, cluster, paths, ownServer, creds }: PartsOptions): Promise<void> {
    const { restoreBackup } = await import("./restore.ts");
    const { say, signal } = this.options;
    const key = ownServer ? seedFile(paths.creds, "controller") : creds;
    await restoreBackup({ file, server, cluster, creds: key, say, signal });
  }

  private async join({ server, cluster, paths, ownServer, creds, nodes }: PartsOptions): Promise<void> {
    const { nodesJoined } = await import("./joined.ts");
    const key = ownServer ? seedFile(paths.creds, "operator") : creds;
    const ready = await nodesJoined({ server, cluster, creds: key, nodes, signal: this.options.signal });
    if (ready < nodes) this.options.say(`warning: ${ready} of ${nodes} nodes have joined so far; see ${paths.log}`);
  }

  /** Lets machines join: after the leader is there, which is asked for nodes that were removed meanwhile. */
  private async register(prepared: PreparedServer): Promise<void> {
    const { Registrar } = await import("./registrar.ts");
    const { options, paths } = this;
    this.registrar = await Registrar.start({
      paths,
      cluster: options.cluster,
      server: prepared.url,
      servers: prepared.servers,
      ca: prepared.ca,
      own: prepared.users,
      configure: prepared.configure,
      renewCertificate: prepared.renewCertificate,
      reload: () => this.reloadServer(),
      say: options.say,
      signal: options.signal,
    });
  }

  /** Ends the server; its supervision starts it again. */
  private restartServer(): void {
    const mark = this.children.nats[0]?.mark();
    if (mark === undefined || !this.options.restart) return;
    signal(mark, "SIGTERM");
    // Old servers that met a full disk stand still while they end. What they acknowledged is in the system's hands already.
    setTimeout(() => signal(mark, "SIGKILL"), serverEndMs).unref();
  }

  /** One that is just being started again reads its configuration anyway. */
  private async reloadServer(): Promise<void> {
    const [nats] = this.children.nats;
    const mark = nats?.mark();
    if (nats !== undefined && mark !== undefined) await reloadServer(mark, nats.log);
  }

  record(): UpRecord {
    const { options } = this;
    return {
      cluster: options.cluster,
      server: this.server,
      ownServer: options.server === undefined,
      ...(options.creds === undefined ? {} : { creds: options.creds }),
      runtime: options.chosen.runtime,
      nodes: options.nodes,
      proxyHost: options.proxyHost,
      supervisor: this.own,
      children: this.all()
        .map((child) => child.mark())
        .filter((mark) => mark !== undefined),
      ready: this.ready,
    };
  }

  stop(): Promise<void> {
    this.stopped ??= this.shutDown();
    return this.stopped;
  }

  private async shutDown(): Promise<void> {
    const { nats, controllers, proxies } = this.children;
    clearInterval(this.rotation);
    this.unwatchDisk();
    await this.registrar?.close();
    // Without a leader nothing is re-placed while the agents go; the server is last, so that everybody can say goodbye.
    await Promise.all(controllers.map((child) => child.stop()));
    const [podsLeft] = await Promise.all([this.stopAgents(), ...proxies.map((child) => child.stop())]);
    await Promise.all(nats.map((child) => child.stop()));
    this.over = true;
    process.removeListener("exit", this.onExit);
    await Promise.all([this.rotating, this.writing]);
    if (podsLeft.length === 0) await systemDisk.remove(this.paths.record);
    // For `swain down`, which waits for this process and cannot see how it ends.
    else await this.writeRecord({ ...this.record(), podsLeft });
    dropLock(this.paths, this.own);
    if (podsLeft.length > 0) throw podsLeftBy(podsLeft);
  }

  /** Names those that did not stop all their pods, and how they ended. */
  private async stopAgents(): Promise<string[]> {
    const { keepPods, chosen, say, signal: told } = this.options;
    const { agents } = this.children;
    // An agent that is asked politely takes its pods along, and where nobody asked for that they may have run since long before.
    const leavesPods = !this.ready && !told.aborted && !keepPods;
    if (leavesPods && agents.length > 0 && chosen.runtime !== "sim") {
      say("pods were left as they are; the next `swain up` goes on with them");
    }
    const ends = await Promise.all(
      agents.map(async (child) => {
        const mark = child.mark();
        if (leavesPods && mark !== undefined) signal(mark, "SIGKILL");
        const how = await child.stop();
        return how === null ? [] : [`${child.name} (${how}; log: ${child.log})`];
      }),
    );
    // Simulated pods end with their agent.
    return this.ready && !keepPods && chosen.runtime !== "sim" ? ends.flat() : [];
  }

  private prepare(): Promise<PreparedServer> {
    const { options } = this;
    return prepareServer({
      paths: this.paths,
      cluster: options.cluster,
      roles: rolesFor({ nodes: options.nodes, runtime: options.chosen.runtime }),
      program: options.natsServer,
      port: options.port,
      outside: options.outside,
      env: options.env,
      say: options.say,
      signal: options.signal,
    });
  }

  private natsChild(prepared: PreparedServer): Child {
    const log = join(this.paths.log, "nats-server.log");
    return this.child({ name: "nats-server", kind: "nats", log, launch: prepared.launch });
  }

  private partChild(part: Part): Child {
    const log = join(this.paths.log, `${part.name}.log`);
    return this.child({
      name: part.name,
      kind: part.kind,
      log,
      launch: (onSpawn, signal) => launchPart({ stopMs: stopMs[part.kind], ...part, log, onSpawn, signal }),
    });
  }

  private child(parts: Pick<ConstructorParameters<typeof Child>[0], "name" | "kind" | "log" | "launch">): Child {
    const { restart, say, signal } = this.options;
    return new Child({ ...parts, restart, say, signal, onChange: () => void this.write() });
  }

  private addAll(group: keyof Supervisor["children"], parts: readonly Part[]): Promise<void> {
    return allOrFirstError(parts.map((part) => this.add(group, this.partChild(part))));
  }

  private async add(group: keyof Supervisor["children"], child: Child): Promise<void> {
    this.children[group].push(child);
    await child.start();
  }

  private all(): Child[] {
    const { nats, controllers, agents, proxies } = this.children;
    return [...nats, ...controllers, ...agents, ...proxies];
  }

  /** One write at a time, each with what is true when it begins. */
  private write(): Promise<void> {
    if (this.over) return this.writing;
    this.writing = this.writing.then(() => this.writeRecord(this.record()));
    return this.writing;
  }

  private writeRecord(record: UpRecord): Promise<void> {
    const path = this.paths.record;
    return systemDisk
      .writeAtomic(path, `${JSON.stringify(record, null, 2)}\n`)
      .catch((error: unknown) => this.options.say(`cannot write ${path}: ${String(error)}`));
  }

  private async rotateLogs(): Promise<void> {
    for (const child of this.all()) await rotate(child.log);
  }
}

/** Waits for all even when one fails, so that none is still starting when the rest is stopped. */
async function allOrFirstError(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
