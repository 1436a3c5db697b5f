// A whole cluster in one process on virtual time: bus, controllers, agents, proxies, operators and clients. It is set up,
// run, and taken apart here; what goes wrong comes from `injector.ts`, what must hold from `observer.ts`.
import type { Ids, Random } from "../../../services/kernel/ids.ts";
import { silent } from "../../../services/kernel/log.ts";
import type { LogFields, Logger } from "../../../services/kernel/log.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import { SimServer } from "../bus/server.ts";
import { Chance } from "../chance.ts";
import { controllerNames, proxyNames } from "../faults.ts";
import { Externals } from "../externals.ts";
import { Nodes } from "../nodes.ts";
import { Observer } from "../observer.ts";
import type { Assignment } from "../orders.ts";
import { ProcessClock, Timeline } from "../time.ts";
import type { Table } from "../tables.ts";
import { Trace } from "../trace.ts";
import { Troubles } from "../troubles.ts";
import { fronted, nodeNames, portOf, workloadNames } from "../wishes.ts";
import { AgentProcess, factsOf } from "./agent.ts";
import { ControllerProcess } from "./controller.ts";
import { EngineCalls } from "./engine-calls.ts";
import { ExternalProcess } from "./external.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import type { Outcome } from "./network.ts";
import { understood } from "./next-version.ts";
import { OperatorProcess } from "./operator.ts";
import type { Process, Surroundings } from "./process.ts";
import { ProxyProcess } from "./proxy.ts";
import { WatcherProcess } from "./watcher.ts";

export interface WorldOptions {
  readonly seed: string;
  /** True: the server syncs each write before it acknowledges it. */
  readonly synced: boolean;
  /** Of the bus; where it is not given, chance decides. */
  readonly servers?: 1 | 3 | undefined;
  /** Changes asked for in an hour, by all operators together. */
  readonly changesPerHour: number;
  /** Requests in an hour to each proxy. */
  readonly requestsPerHour: number;
  /** Lines of the trace that are kept. */
  readonly traceLines: number;
}

const cluster = "default";
/** How far time goes on between two looks whether something is done. */
const stepMs = 20;
/** Between two looks at what proxies know. */
const proxyLookMs = 1000;
/** Of a server that does not sync each write: shorter than real ones', or every power cut would take all there is. */
const syncIntervalMs = 10_000;
/** What nodes have; each pod asks for 100. */
const plentyMillis = 4000;
const scarceMillis = [250, 300, 500] as const;
const scarceShare = 0.7;
const operators = ["o1", "o2", "o3"] as const;
/** Programs that no node runs, in every other world. */
const externalNames = ["x1", "x2"] as const;
const externalShare = 0.5;
/** One that asks once, without the CLI's client. */
const plainOperator = "o3";

export class World {
  readonly timeline = new Timeline();
  readonly chance: Chance;
  readonly server: SimServer;
  readonly servers: 1 | 3;
  /** The server syncs each write. */
  readonly synced: boolean;
  readonly network: Network;
  readonly observer: Observer;
  readonly nodes: Nodes;
  readonly outside: Externals;
  readonly trace: Trace;
  readonly controllers: ControllerProcess[];
  readonly agents: AgentProcess[];
  readonly proxies: ProxyProcess[];
  readonly operators: OperatorProcess[];
  readonly watcher: WatcherProcess;
  readonly externals: ExternalProcess[];
  readonly surroundings: Surroundings;
  /** What was wrong with each process, and with `bus`. */
  readonly troubles: Troubles;
  readonly requests: Record<Outcome | "unheard", number> = { answered: 0, refused: 0, broken: 0, unheard: 0 };
  /** Someone outside, who asks and looks. */
  readonly onlooker: { readonly clock: ProcessClock; readonly random: Random; readonly ids: Ids };
  /** So often somebody changed what lies in buckets. */
  meddled = 0;
  /** When the bus last lost what it had not synced. */
  lostPowerAt = -Infinity;
  private folded = 0;

  constructor(options: WorldOptions) {
    const { timeline } = this;
    this.troubles = new Troubles(() => timeline.now);
    this.chance = new Chance(options.seed);
    this.trace = new Trace(timeline, options.traceLines);
    const { synced } = options;
    this.synced = synced;
    const clock = new ProcessClock(timeline);
    const { random } = this.chance.stream("server");
    const servers = options.servers ?? (this.chance.stream("servers").hits(0.5) ? 3 : 1);
    this.servers = servers;
    this.server = new SimServer({ clock, random, synced, syncIntervalMs, cluster, servers });
    this.network = new Network(timeline, this.chance.stream("network"));
    this.observer = new Observer(
      () => timeline.now,
      this.troubles,
      () =>
        this.agents.flatMap(({ name, engine }) =>
          engine.all().flatMap(({ state, spec }) => (state === "running" ? [{ node: name, pod: spec.pod }] : [])),
        ),
    );
    this.nodes = new Nodes(this.observer, this.troubles, () => timeline.now);
    this.outside = new Externals(this.observer, this.troubles, () => timeline.now);
    const beats = new Map(nodeNames.map((name) => [subjectsOf(cluster).node.heartbeat(name), name]));
    const figures = new Map(nodeNames.map((name) => [subjectsOf(cluster).node.metrics(name), name]));
    this.server.onSubject = (subject, data) => {
      const node = subject.endsWith(".heartbeat") ? beats.get(subject) : undefined;
      if (node !== undefined) this.observer.silence.onBeat(node);
      const measured = subject.endsWith(".metrics") ? figures.get(subject) : undefined;
      if (measured !== undefined) this.observer.scaling.onFigures(measured, data);
    };
    this.server.onHidden = () => this.troubles.begin("bus", "hidden")();
    const logger = (process: string): Logger => loggerOf(this, process);
    const surroundings: Surroundings = { timeline, server: this.server, chance: this.chance, cluster, servers, logger };
    this.surroundings = surroundings;
    this.controllers = controllerNames.map((name, at) => new ControllerProcess(surroundings, machine(name, 1, at)));
    // Room for all pods, or, on most nodes of every other world, for a few.
    const room = this.chance.stream("room");
    const isScarce = room.hits(0.5);
    this.agents = nodeNames.map((name, at) => {
      const cpuMillis = isScarce && room.hits(scarceShare) ? room.pick(scarceMillis) : plentyMillis;
      return this.makeAgent(surroundings, machine(name, 2, at), cpuMillis);
    });
    this.proxies = proxyNames.map((name, at) => new ProxyProcess(surroundings, machine(name, 3, at), this.network));
    const everyMs = (operators.length * 3_600_000) / options.changesPerHour;
    this.operators = operators.map(
      (name, at) =>
        new OperatorProcess(surroundings, machine(name, 4, at), name === plainOperator, [0, 2 * everyMs], (answer) => {
          this.look();
          this.observer.onAnswer(answer);
        }),
    );
    this.watcher = new WatcherProcess(surroundings, machine("watcher", 5, 0), this.observer.feeds, this.troubles);
    this.externals = this.makeExternals();
    const own = this.chance.stream("onlooker");
    this.onlooker = { clock: new ProcessClock(timeline), random: own.random, ids: own.ids };
    this.network.onAttempt = ({ from, node, port, pod, taken }) => {
      this.observer.onAttempt(from, node, port);
      if (!taken) this.observer.clients.onUntaken(from);
      this.observer.serving.onAttempt(this.observer.state, { proxy: from, port, pod });
    };
    this.observer.restarts.lastRunMs = (node, pod) =>
      this.agents.find(({ name }) => name === node)?.lastRunMs(pod) ?? null;
    this.observer.serving.carriedTo = (pod) => this.network.carriedTo(pod);
    this.sendRequests(3_600_000 / options.requestsPerHour);
    this.lookAtProxies();
  }

  start(): void {
    for (const process of this.processes()) process.start();
  }

  processes(): Process[] {
    return [...this.controllers, ...this.agents, ...this.proxies, ...this.operators, this.watcher, ...this.externals];
  }

  process(name: string): ControllerProcess | AgentProcess | ProxyProcess {
    const found = [...this.controllers, ...this.agents, ...this.proxies].find((one) => one.name === name);
    if (found === undefined) throw new Error(`no process is named ${name}`);
    return found;
  }

  /** Lets time pass, looking at the world after every step. */
  async pass(ms: number): Promise<void> {
    await this.timeline.run(this.timeline.now + ms, () => this.look());
  }

  /** Lets time pass until the work is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    const progress = { isOver: false };
    const over = work.finally(() => {
      progress.isOver = true;
    });
    over.catch(() => {});
    while (!progress.isOver) await this.pass(stepMs);
    return over;
  }

  /** Folds what is new in the log. */
  look(): void {
    const stored = this.server.log();
    if (stored.last < this.folded) {
      // A power cut or a wipe took records away.
      this.trace.note("world", "the log lost records", { from: stored.last + 1, to: this.folded });
      // What is left may begin later than at its first record, but is known.
      const left = this.observer.archive.filter(({ sequence }) => sequence <= stored.last);
      this.observer.forget(stored.last);
      const { isReplaying } = this.observer;
      this.observer.isReplaying = true;
      for (const record of left) this.observer.onRecord(record);
      this.observer.isReplaying = isReplaying;
      this.folded = stored.last;
    }
    while (this.folded < stored.last) {
      this.folded += 1;
      const record = stored.get(this.folded);
      if (record === undefined) continue;
      this.trace.mix(record.data);
      this.observer.onRecord(understood(record));
    }
  }

  private makeAgent(surroundings: Surroundings, place: Machine, cpuMillis: number): AgentProcess {
    const calls = new EngineCalls(this.chance.stream(`engine of ${place.name}`), {
      onEnd: (container) => {
        this.look();
        this.trace.note(place.name, "ends a container", { pod: container.pod });
        const others = agent.engine.all().filter(({ spec }) => spec.pod === container.pod);
        const running = others.filter(({ state }) => state === "running").length;
        this.observer.onEnd(place.name, container, running);
      },
      onStart: (container) => {
        this.look();
        this.trace.note(place.name, "starts a container", { pod: container.pod });
        this.observer.onStart(place.name, container);
      },
    });
    place.onWrite = (path, content) => {
      if (!path.endsWith("/assignment.json")) return;
      const told = JSON.parse(content) as Assignment;
      this.observer.onAssignment(place.name, told);
      this.nodes.onAssignment(place.name, told.generation);
    };
    const agent = new AgentProcess(surroundings, place, calls, factsOf(place, cpuMillis));
    this.network.add(agent);
    return agent;
  }

  /** Programs that register themselves behind services. */
  private makeExternals(): ExternalProcess[] {
    if (!this.chance.stream("programs").hits(externalShare)) return [];
    return externalNames.map((name, at) => {
      const place = machine(name, 6, at);
      const external = new ExternalProcess(this.surroundings, place, this.outside, this.troubles, () => this.look());
      this.network.addOutside(place, { pod: name, runsOn: () => true });
      return external;
    });
  }

  /** What the proxies have on disk is held against the bucket that they follow. */
  private lookAtProxies(): void {
    const { endpoints } = subjectsOf(cluster).buckets;
    // Mostly nothing has changed since the last look.
    const seen = new Map<string, { readonly saved: string; readonly table: Table }>();
    const look = (): void => {
      this.observer.tables.onEndpoints(this.server.keys.revisions(endpoints));
      for (const { name, machine: place } of this.proxies) {
        const saved = place.files.get("/data/proxy.json");
        if (saved === undefined) this.observer.clients.onTable(name, undefined);
        if (saved === undefined) continue;
        const before = seen.get(name);
        const table = before?.saved === saved ? before.table : (JSON.parse(saved) as Table);
        seen.set(name, { saved, table });
        this.observer.tables.onTable(name, table);
        this.observer.clients.onTable(name, table);
        this.outside.onTable(name, table);
      }
      this.timeline.after(proxyLookMs, look);
    };
    this.timeline.after(proxyLookMs, look);
  }

  /** Clients ask every service at each proxy at once, for something long. */
  sendLongRequests(): void {
    for (const { machine: place } of this.proxies) for (const name of workloadNames) this.request(place, name, true);
  }

  private request(place: Machine, service: string, isLong?: boolean): void {
    const cameAt = this.timeline.now;
    const onEnd = (outcome: Outcome | "unheard"): void => {
      this.requests[outcome] += 1;
      if (outcome !== "refused" && outcome !== "unheard") return;
      this.observer.clients.onRefused(place.name, `default/${service}`, cameAt);
    };
    if (!this.network.request(place, portOf(service), onEnd, isLong)) onEnd("unheard");
  }

  /** Clients ask a service at each proxy, one at a time as chance has it. */
  private sendRequests(everyMs: number): void {
    const chance = this.chance.stream("clients");
    const next = (): void => {
      this.timeline.after(chance.between(0, 2 * everyMs), () => {
        next();
        for (const { machine: place } of this.proxies) {
          this.request(place, chance.pick(workloadNames));
          if (this.externals.length > 0) this.request(place, fronted);
        }
      });
    };
    next();
  }
}

const machine = (name: string, net: number, at: number): Machine => new Machine(name, `10.0.${net}.${at + 1}`);

function loggerOf(world: World, process: string): Logger {
  const level =
    (name: string) =>
    (message: string, fields: LogFields = {}): void => {
      world.trace.note(process, `${name}: ${message}`, fields);
      world.nodes.onSaid(fields);
    };
  return {
    ...silent,
    info: level("info"),
    warn: level("warn"),
    error: level("error"),
    with: () => loggerOf(world, process),
  };
}
