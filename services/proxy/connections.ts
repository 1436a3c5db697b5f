// All client connections of a proxy: finds each a backend, joins the two, and counts them per pod so that a drain can be
// waited for. It knows no bus; `listeners.ts` hands it the clients.
import type { Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Connection, Sockets } from "../kernel/sockets.ts";
import type { Backend } from "./backend.ts";
import { proxyLimits } from "./limits.ts";
import { clientHeader } from "./proxy-protocol.ts";
import type { ClientEnds } from "./proxy-protocol.ts";
import type { Picked } from "./rotation.ts";
import type { Route } from "./route.ts";

/** A connection to a backend. */
interface Joined {
  readonly backend: Backend;
  readonly connection: Connection;
}

interface ConnectionPorts {
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly log: Logger;
}

/** Failures that say nothing about the backend: this machine had no descriptor, port or memory left. */
const ownFaults: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

export class Connections {
  private readonly ports: ConnectionPorts;
  private readonly onFreed: () => void;
  private readonly onChange: () => void;
  /** With what each is joined to, once it is. */
  private readonly clients = new Map<Connection, Joined | undefined>();
  /** Backends that are no endpoints any more and have connections still. */
  private readonly gone = new Map<Backend, Route>();
  private readonly saidAt = new Map<string, number>();
  private onIdle: (() => void) | undefined;

  /**
   * `onFreed` is called when the last connection of a backend that went has finished, `onChange` when connects changed the
   * state of a backend.
   */
  constructor(ports: ConnectionPorts, onFreed: () => void, onChange: () => void) {
    this.ports = ports;
    this.onFreed = onFreed;
    this.onChange = onChange;
  }

  get count(): number {
    return this.clients.size;
  }

  /** Takes over a client of the route; at the limit it is refused, which is said. */
  accept(client: Connection, route: Route): void {
    if (this.clients.size >= proxyLimits.connections) {
      client.destroy();
      this.say("connection refused: the limit of open connections is reached", { limit: proxyLimits.connections });
      return;
    }
    this.clients.set(client, undefined);
    void this.serve(client, route);
  }

  /** Remembers backends that went, as long as they have connections; those that are endpoints again are gone no more. */
  left(route: Route, backends: Iterable<Backend>): void {
    for (const backend of route.rotation.all) this.gone.delete(backend);
    for (const backend of backends) if (backend.open > 0) this.gone.set(backend, route);
  }

  /** Open connections per pod, for pods that are no endpoints any more. */
  openOfGone(isEndpoint: (pod: string) => boolean): Record<string, number> {
    const open: Record<string, number> = {};
    for (const { pod, external, open: count } of this.gone.keys()) {
      if (!external && !isEndpoint(pod)) open[pod] = (open[pod] ?? 0) + count;
    }
    return open;
  }

  /** Resolves when no connection is open, or after `ms`; then the rest is dropped. */
  async finish(ms: number): Promise<void> {
    if (this.clients.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.ports.clock.after(ms, resolve);
        this.onIdle = () => {
          cancel();
          resolve();
        };
      });
    }
    for (const client of this.clients.keys()) client.destroy();
  }

  /** Bytes of connections that are still open, which no backend has counted yet: clients' and backends' own. */
  carriedBy(): Map<Backend, { in: number; out: number }> {
    const carried = new Map<Backend, { in: number; out: number }>();
    for (const [client, joined] of this.clients) {
      if (joined === undefined) continue;
      const sum = carried.get(joined.backend) ?? { in: 0, out: 0 };
      sum.in += client.carried;
      sum.out += joined.connection.carried;
      carried.set(joined.backend, sum);
    }
    return carried;
  }

  /** Backends that went and have connections still, with the route they were of. */
  draining(): ReadonlyMap<Backend, Route> {
    return this.gone;
  }

  private async serve(client: Connection, route: Route): Promise<void> {
    const { load } = route;
    load.total += 1;
    try {
      if (!load.enter() && !(await load.wait())) this.refuse(client, route);
      else {
        try {
          await this.join(client, route);
        } finally {
          load.leave();
        }
      }
    } catch (error) {
      this.ports.log.error("a connection failed", { service: route.name, error: asSwainError(error).message });
      client.destroy();
    } finally {
      this.clients.delete(client);
      if (this.clients.size === 0) this.onIdle?.();
    }
  }

  private async join(client: Connection, route: Route): Promise<void> {
    const joined = await this.connect(client, route);
    if (joined === undefined) {
      client.destroy();
      return;
    }
    const { backend, connection } = joined;
    const { proxyProtocol } = route.traffic;
    try {
      backend.total += 1;
      if (proxyProtocol !== undefined) connection.send(clientHeader(proxyProtocol, endsOf(client)));
      this.clients.set(client, joined);
      const { bytesSent, bytesReceived } = await client.pipe(connection);
      backend.bytesIn += bytesSent;
      backend.bytesOut += bytesReceived;
      route.load.bytesIn += bytesSent;
      route.load.bytesOut += bytesReceived;
    } finally {
      this.release(backend, route);
    }
  }

  /** A connection to the next backend that takes one; undefined when none does. */
  private async connect(client: Connection, route: Route): Promise<Joined | undefined> {
    const { sockets } = this.ports;
    if (route.rotation.size === 0 && !(await route.firstBackend())) {
      route.load.failed += 1;
      this.say("connection closed: the service has no endpoint", { service: route.name });
      return undefined;
    }
    const source = route.traffic.balance === "source" ? sourceOf(client) : undefined;
    let tried: Set<Backend> | undefined;
    for (let attempt = 0; attempt < proxyLimits.tries; attempt += 1) {
      let backend = this.claim(route, tried, source);
      if (backend === "full") backend = await this.claimLater(route, source);
      if (backend === "full") {
        this.refuse(client, route);
        return undefined;
      }
      if (backend === undefined) break;
      try {
        const connection = await sockets.connect(backend.host, backend.port, proxyLimits.connectMs);
        if (backend.current) {
          this.connected(route, backend);
          return { backend, connection };
        }
        // It went while we connected, and was promised no new connections.
        connection.destroy();
      } catch (error) {
        if (!this.failed(route, backend, error)) {
          this.release(backend, route);
          return undefined;
        }
      }
      this.release(backend, route);
      (tried ??= new Set()).add(backend);
    }
    route.load.failed += 1;
    this.say("connection closed: no endpoint took it", { service: route.name, tried: tried?.size ?? 0 });
    return undefined;
  }

  /** Picks a backend and counts the connection at once: a drain also waits for a connect that is under way. */
  private claim(route: Route, tried?: ReadonlySet<Backend>, source?: string): Picked {
    if (route.line.size > 0) return "full";
    const backend = route.rotation.pick(this.ports.clock.mono(), tried, source);
    if (backend === undefined || backend === "full") return backend;
    backend.open += 1;
    if (backend.health?.state === "down") {
      this.say("BACKENDS_DOWN: every backend fails its check, so all are used", { service: route.name });
    }
    return backend;
  }

  /** Waits until some backend takes one more; `full` when none did in time. */
  private async claimLater(route: Route, source: string | undefined): Promise<Picked> {
    let claimed: Backend | undefined;
    const got = await route.line.take(() => {
      const backend = route.rotation.pick(this.ports.clock.mono(), undefined, source);
      if (backend === undefined || backend === "full") return false;
      backend.open += 1;
      claimed = backend;
      return true;
    });
    return got ? claimed : "full";
  }

  private refuse(client: Connection, route: Route): void {
    client.destroy();
    route.load.refused += 1;
    this.say("CONNECTIONS_FULL: connection refused, there was no room in time", { service: route.name });
  }

  private connected(route: Route, backend: Backend): void {
    if (backend.past.failures === 0) return;
    const { pod, address } = backend;
    this.ports.log.info("an endpoint answers again", { service: route.name, pod, address });
    route.rotation.succeeded(backend);
    this.onChange();
    route.line.retry();
  }

  /** True when another backend may do better. */
  private failed(route: Route, backend: Backend, thrown: unknown): boolean {
    const error = asSwainError(thrown);
    if (ownFaults.has(error.details["reason"])) {
      this.say("connection closed: this machine cannot open another", { error: error.message });
      return false;
    }
    const { pod, past } = backend;
    const now = this.ports.clock.mono();
    if (error.code === "BACKEND_IS_PROXY") {
      // A name that led here; it may lead elsewhere later.
      backend.barredUntil = Math.max(backend.barredUntil, now + proxyLimits.asideMaxMs);
      this.say(`${error.code}: ${error.message}`, { service: route.name, pod });
      this.onChange();
      return true;
    }
    if (past.failures === 0) {
      this.ports.log.warn("an endpoint does not answer", { service: route.name, pod, error: error.message });
    }
    const isEjected = route.rotation.failed(backend, now);
    this.onChange();
    if (isEjected) {
      const forMs = Math.round(backend.past.ejectedUntil - now);
      this.ports.log.warn("an endpoint is left out", { service: route.name, pod, forMs, error: error.message });
    }
    return true;
  }

  private release(backend: Backend, route: Route): void {
    backend.open -= 1;
    if (route.line.size > 0) route.line.retry();
    if (backend.open === 0 && !backend.current && this.gone.delete(backend)) this.onFreed();
  }

  /** Says what may happen thousands of times a second once in a while. */
  private say(message: string, fields: Readonly<Record<string, string | number>>): void {
    const now = this.ports.clock.mono();
    if (now - (this.saidAt.get(message) ?? -Infinity) < proxyLimits.repeatLogMs) return;
    this.saidAt.set(message, now);
    this.ports.log.warn(message, fields);
  }
}

/** The client's address, the same for an IPv4 client of a socket for both families. */
const sourceOf = (client: Connection): string | undefined => client.peer()?.address.replace(/^::ffff:(?=\d+\.)/i, "");

/** Both ends of the client's connection to us; undefined when it is gone. */
function endsOf(client: Connection): ClientEnds | undefined {
  const source = client.peer();
  const destination = client.local();
  return source === undefined || destination === undefined ? undefined : { source, destination };
}
