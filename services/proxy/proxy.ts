// The proxy: follows the endpoints of services and carries TCP connections to them. It decides nothing about pods, and goes
// on serving what it knows when the bus or the controller is away. `main.ts` starts it over the real machine, a simulation
// over its own; both through the ports below.
import { subjectsOf } from "../bus/subjects.ts";
import type { Bus } from "../bus/port.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import type { Disk } from "../kernel/disk.ts";
import type { Ids, Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import type { Sockets } from "../kernel/sockets.ts";
import { portsOf } from "./backends.ts";
import type { PortChoice } from "./backends.ts";
import { Beat } from "./beat.ts";
import { Checks } from "./checks.ts";
import { Connections } from "./connections.ts";
import type { ProxyView, ServiceView } from "./figures.ts";
import { Follower } from "./follow.ts";
import { proxyLimits } from "./limits.ts";
import { Listeners } from "./listeners.ts";
import type { Listening } from "./listeners.ts";
import { ServiceLoad } from "./load.ts";
import { metricsOf } from "./metrics.ts";
import { Own } from "./own.ts";
import { Report } from "./report.ts";
import { Route } from "./route.ts";
import { TableStore } from "./store.ts";
import { EndpointTable } from "./table.ts";
import type { Parts } from "./table.ts";

export interface ProxyPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly disk: Disk;
  readonly sockets: Sockets;
  readonly log: Logger;
}

/** A service that is listened for whether or not it exists yet. */
export interface ServedService {
  /** `namespace/name` */
  readonly service: string;
  readonly choice: PortChoice;
  readonly host: string;
  readonly port: number;
}

export interface ProxyConfig {
  readonly cluster: string;
  readonly id: string;
  /** This machine's host fact: endpoints of the same host are reached at their local address. */
  readonly hostFact: string;
  /** File of the last known endpoints. */
  readonly path: string;
  readonly services: readonly ServedService[];
  /** Set when every service there is gets a listener on this address, at its own port. */
  readonly allOn: string | undefined;
}

export class Proxy {
  private readonly ports: ProxyPorts;
  private readonly config: ProxyConfig;
  private readonly table = new EndpointTable();
  private readonly store: TableStore;
  private readonly connections: Connections;
  private readonly listeners: Listeners;
  /** Where this proxy itself is reached. */
  private readonly own: Own;
  private readonly checks: Checks;
  private readonly named: ReadonlySet<string>;
  private readonly routes = new Map<string, Route[]>();
  private readonly loads = new Map<string, ServiceLoad>();
  private readonly dirty = new Set<string>();
  private cancelFlush: Cancel | undefined;
  private bus: Bus | undefined;
  private follower: Follower | undefined;
  private beat: Beat | undefined;
  private report: Report | undefined;
  private stopped = false;
  private isLoaded = false;
  private onLoaded: () => void = () => {};
  /** Resolves with the first full load of endpoints from the bus. */
  readonly loaded: Promise<void>;

  constructor(ports: ProxyPorts, config: ProxyConfig) {
    this.ports = ports;
    this.config = config;
    this.named = new Set(config.services.map(({ service }) => service));
    this.store = new TableStore(ports, config.path, config.cluster, () => this.table.save());
    this.own = new Own(ports);
    const changed = (): void => this.report?.soon();
    const freed = (): void => {
      this.beat?.soon();
      changed();
    };
    const guarded = { ...ports, sockets: this.own.guarded() };
    this.connections = new Connections(guarded, freed, changed);
    this.checks = new Checks(guarded, changed);
    this.listeners = new Listeners(
      ports,
      (connection, route) => this.connections.accept(connection, route),
      () => {
        this.own.update(this.listeners.listening());
        this.barAll();
        changed();
      },
    );
    this.loaded = new Promise((resolve) => {
      this.onLoaded = resolve;
    });
  }

  /** Takes the last known endpoints and listens. Rejects with PORT_IN_USE or LISTEN_FAILED for a named service. */
  async start(): Promise<void> {
    const saved = await this.store.load();
    if (saved !== undefined) {
      this.table.restore(saved);
      this.isLoaded = true;
    }
    for (const { service, choice, host, port } of this.config.services) {
      await this.listeners.open(this.addRoute(service, choice), host, port);
    }
    for (const service of new Set([...this.named, ...this.table.services()])) this.refresh(service);
  }

  /** Follows the endpoints on this bus from now on. Called once, when the bus is there. */
  attach(bus: Bus): void {
    if (this.stopped) return;
    const { clock, ids, log } = this.ports;
    const { cluster, id, allOn } = this.config;
    this.bus = bus;
    const [only] = this.named;
    const narrow = allOn === undefined && this.named.size === 1 ? only : undefined;
    this.beat = new Beat({ clock, ids, bus, log }, subjectsOf(cluster).proxy.heartbeat(id), {
      settle: () => this.flush(),
      served: () => this.served(),
      applied: (service) => (this.serves(service) ? this.table.acknowledged(service) : undefined),
      open: () => this.connections.openOfGone((pod) => this.isEndpoint(pod)),
    });
    this.follower = new Follower({ clock, bus, log }, cluster, narrow, this.table, {
      changed: (service) => this.changed(service),
      loaded: () => {
        this.flush();
        // What was in doubt before is acknowledged.
        this.beat?.tellAll();
        this.isLoaded = true;
        this.onLoaded();
      },
    });
    bus.onState((state) => {
      if (state === "connected") this.beat?.tellAll();
    });
    this.report = new Report({ clock, bus, log }, subjectsOf(cluster).proxy.metrics(id), {
      metrics: () => {
        this.barAll();
        const routes = [...this.routes.values()].flat();
        const metrics = metricsOf(routes, this.connections, this.listeners, clock.mono(), clock.wall());
        return { ...metrics, ...(allOn === undefined ? {} : { all: true }) };
      },
      nextReturn: () => this.nextReturn(clock.mono()),
    });
  }

  /** Where clients are taken now. */
  listening(): Listening[] {
    return this.listeners.listening();
  }

  /** What may be looked at from outside, at any time. */
  view(): ProxyView {
    return {
      isConnected: this.bus?.state() === "connected",
      isLoaded: this.isLoaded,
      isOver: this.stopped,
      connections: this.connections.count,
      listenersWanted: this.listeners.wanted,
      listenersOpen: this.listeners.listening().length,
      services: [...this.loads].map(([service, load]) => this.viewOf(service, load)),
    };
  }

  private viewOf(service: string, load: ServiceLoad): ServiceView {
    const now = this.ports.clock.mono();
    const backends = { up: 0, checking: 0, down: 0, ejected: 0, draining: 0 };
    for (const { rotation } of this.routes.get(service) ?? []) {
      for (const backend of rotation.all) backends[backend.state(now)] += 1;
    }
    const { open, total, refused, failed, bytesIn, bytesOut } = load;
    return { service, open, total, refused, failed, bytesIn, bytesOut, backends };
  }

  /** Stops accepting, lets open connections finish for a while, and says goodbye. */
  async stop(): Promise<void> {
    await this.listeners.closeAll();
    await this.connections.finish(proxyLimits.drainMs);
    this.stopped = true;
    this.checks.stop();
    this.follower?.stop();
    this.cancelFlush?.();
    this.report?.stop();
    this.beat?.goodbye();
    await this.store.close();
    await this.bus?.flush(proxyLimits.goodbyeMs).catch(() => {});
  }

  /** Collects changes to the end of this turn: a full load tells hundreds of parts of one service at once. */
  private changed(service: string): void {
    this.dirty.add(service);
    this.cancelFlush ??= this.ports.clock.after(0, () => this.flush());
  }

  private flush(): void {
    this.cancelFlush?.();
    this.cancelFlush = undefined;
    if (this.dirty.size === 0) return;
    for (const service of this.dirty) {
      this.refresh(service);
      this.beat?.tell(service);
    }
    this.dirty.clear();
    this.report?.soon();
    this.store.changed();
  }

  /** Brings the routes of a service in step with the table. */
  private refresh(service: string): void {
    const parts = this.table.partsOf(service);
    if (this.config.allOn !== undefined) this.syncPorts(service, parts, this.config.allOn);
    for (const route of this.routes.get(service) ?? []) {
      this.update(route, parts);
    }
  }

  private update(route: Route, parts: Parts): void {
    this.connections.left(route, route.update(parts, this.config.hostFact));
    this.bar(route);
    if (!this.stopped) this.checks.sync(route);
  }

  /** Keeps backends that are this proxy itself from being used. Addresses that come to this machine later are seen here too. */
  private barAll(): void {
    for (const route of [...this.routes.values()].flat()) this.bar(route);
  }

  private bar(route: Route): void {
    for (const backend of route.rotation.all) {
      const { pod, host, port, barredUntil } = backend;
      if (this.own.has(host, port) === (barredUntil === Infinity)) continue;
      backend.barredUntil = barredUntil === Infinity ? 0 : Infinity;
      this.report?.soon();
      if (barredUntil === Infinity) continue;
      const { code, message } = this.own.refusal(host, port);
      this.ports.log.warn("a backend gets nothing", { service: route.name, pod, code, error: message });
    }
  }

  /** One listener per port of the service, no more and no fewer. */
  private syncPorts(service: string, parts: Parts, host: string): void {
    const isNamed = (route: Route): boolean =>
      this.config.services.some((named) => named.service === service && named.choice === route.choice);
    const wanted = new Set(portsOf(parts).map(({ port }) => port));
    const kept: Route[] = [];
    for (const route of this.routes.get(service) ?? []) {
      const { choice } = route;
      if (isNamed(route) || (typeof choice === "number" && wanted.delete(choice))) kept.push(route);
      else this.drop(route);
    }
    this.routes.set(service, kept);
    for (const port of wanted) this.listeners.keep(this.addRoute(service, port), host, port);
    if (kept.length > 0 || wanted.size > 0) return;
    this.routes.delete(service);
    this.loads.delete(service);
  }

  private drop(route: Route): void {
    this.ports.log.info("no longer listening: the service has no such port any more", { service: route.name });
    this.update(route, new Map());
    void this.listeners.close(route);
  }

  private addRoute(service: string, choice: PortChoice): Route {
    const routes = this.routes.get(service);
    const load = this.loads.get(service) ?? new ServiceLoad(this.ports.clock);
    this.loads.set(service, load);
    const route = new Route(service, choice, this.ports.clock, this.ports.random.next(), load);
    if (routes === undefined) this.routes.set(service, [route]);
    else routes.push(route);
    return route;
  }

  private served(): ReadonlySet<string> {
    return this.config.allOn === undefined ? this.named : new Set([...this.named, ...this.table.services()]);
  }

  private serves(service: string): boolean {
    return this.named.has(service) || (this.config.allOn !== undefined && this.table.partsOf(service).size > 0);
  }

  private nextReturn(now: number): number {
    let next = Infinity;
    for (const route of [...this.routes.values()].flat()) {
      for (const { past } of route.rotation.all) if (past.asideUntil > now) next = Math.min(next, past.asideUntil);
    }
    return next;
  }

  private isEndpoint(pod: string): boolean {
    for (const routes of this.routes.values()) if (routes.some(({ rotation }) => rotation.hasPod(pod))) return true;
    return false;
  }
}
