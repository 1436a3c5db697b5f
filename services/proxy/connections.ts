// All client connections of a proxy: finds each a backend, joins the two, and counts them per pod so that a drain can be
// waited for. It knows no bus; `listeners.ts` hands it the clients.
import type { Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Connection, Sockets } from "../kernel/sockets.ts";
import { proxyLimits } from "./limits.ts";
import type { Backend } from "./rotation.ts";
import type { Route } from "./route.ts";

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
  private readonly clients = new Set<Connection>();
  /** Backends that are no endpoints any more and have connections still. */
  private readonly gone = new Set<Backend>();
  private readonly saidAt = new Map<string, number>();
  private onIdle: (() => void) | undefined;

  /** `onFreed` is called when the last connection of a backend that went has finished. */
  constructor(ports: ConnectionPorts, onFreed: () => void) {
    this.ports = ports;
    this.onFreed = onFreed;
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
    this.clients.add(client);
    void this.serve(client, route);
  }

  /** Remembers backends that went, as long as they have connections. */
  left(backends: Iterable<Backend>): void {
    for (const backend of backends) if (backend.open > 0) this.gone.add(backend);
  }

  /** Open connections per pod, for pods that are no endpoints any more. */
  openOfGone(isEndpoint: (pod: string) => boolean): Record<string, number> {
    const open: Record<string, number> = {};
    for (const { pod, open: count } of this.gone) if (!isEndpoint(pod)) open[pod] = (open[pod] ?? 0) + count;
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
    for (const client of this.clients) client.destroy();
  }

  private async serve(client: Connection, route: Route): Promise<void> {
    try {
      const found = await this.connect(route);
      if (found === undefined) {
        client.destroy();
        return;
      }
      try {
        await client.pipe(found.connection);
      } finally {
        this.release(found.backend);
      }
    } catch (error) {
      this.ports.log.error("a connection failed", { service: route.name, error: asSwainError(error).message });
      client.destroy();
    } finally {
      this.clients.delete(client);
      if (this.clients.size === 0) this.onIdle?.();
    }
  }

  /** A connection to the next backend that takes one; undefined when none does. */
  private async connect(route: Route): Promise<{ backend: Backend; connection: Connection } | undefined> {
    const { clock, sockets } = this.ports;
    const { rotation } = route;
    if (rotation.size === 0 && !(await route.firstBackend())) {
      this.say("connection closed: the service has no endpoint", { service: route.name });
      return undefined;
    }
    let tried: Set<Backend> | undefined;
    for (let attempt = 0; attempt < proxyLimits.tries; attempt += 1) {
      const backend = rotation.pick(clock.mono(), tried);
      if (backend === undefined) break;
      // Counted from here on: a drain also waits for a connect that is under way.
      backend.open += 1;
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
          this.release(backend);
          return undefined;
        }
      }
      this.release(backend);
      (tried ??= new Set()).add(backend);
    }
    this.say("connection closed: no endpoint took it", { service: route.name, tried: tried?.size ?? 0 });
    return undefined;
  }

  private connected(route: Route, backend: Backend): void {
    if (backend.failures === 0) return;
    const { pod, host, port } = backend;
    this.ports.log.info("an endpoint answers again", { service: route.name, pod, address: `${host}:${port}` });
    route.rotation.succeeded(backend);
  }

  /** True when another backend may do better. */
  private failed(route: Route, backend: Backend, thrown: unknown): boolean {
    const error = asSwainError(thrown);
    if (ownFaults.has(error.details["reason"])) {
      this.say("connection closed: this machine cannot open another", { error: error.message });
      return false;
    }
    if (backend.failures === 0) {
      const { pod } = backend;
      this.ports.log.warn("an endpoint does not answer", { service: route.name, pod, error: error.message });
    }
    route.rotation.failed(backend, this.ports.clock.mono());
    return true;
  }

  private release(backend: Backend): void {
    backend.open -= 1;
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
