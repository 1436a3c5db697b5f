// The listening sockets of a proxy: opened, tried again while a port is taken, and closed without touching open connections.
import type { Cancel, Clock } from "../kernel/clock.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Code } from "../kernel/errors.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import type { Connection, Listener, Sockets } from "../kernel/sockets.ts";
import { proxyLimits } from "./limits.ts";
import type { Route } from "./route.ts";

interface ListenerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly sockets: Sockets;
  readonly log: Logger;
}

/** Where a route is reached. */
export interface Listening {
  /** `namespace/name`, with `:port` where one was chosen. */
  readonly service: string;
  readonly address: string;
  readonly port: number;
}

const retry = { firstMs: proxyLimits.listenFirstMs, maxMs: proxyLimits.listenMaxMs, factor: 2 };

interface Place {
  readonly route: Route;
  readonly host: string;
  readonly port: number;
  listener: Listener | undefined;
  /** Why it does not listen. */
  reason: Code | undefined;
  cancelRetry: Cancel;
  closed: boolean;
}

export class Listeners {
  private readonly ports: ListenerPorts;
  private readonly onConnection: (connection: Connection, route: Route) => void;
  private readonly onChange: () => void;
  private readonly places = new Map<Route, Place>();
  private over = false;

  /** `onChange` is called when a route is listened for from now on, or no more, or cannot be for a new reason. */
  constructor(
    ports: ListenerPorts,
    onConnection: (connection: Connection, route: Route) => void,
    onChange: () => void,
  ) {
    this.ports = ports;
    this.onConnection = onConnection;
    this.onChange = onChange;
  }

  /** Listens now, or rejects with PORT_IN_USE or LISTEN_FAILED. */
  async open(route: Route, host: string, port: number): Promise<void> {
    await this.listen(this.add(route, host, port));
  }

  /** Listens as soon as the port can be had; says so when it cannot. Does nothing after `closeAll`. */
  keep(route: Route, host: string, port: number): void {
    if (this.over) return;
    void this.try(this.add(route, host, port), 0);
  }

  async close(route: Route): Promise<void> {
    const place = this.places.get(route);
    if (place === undefined) return;
    this.places.delete(route);
    place.closed = true;
    place.cancelRetry();
    this.onChange();
    await place.listener?.close();
  }

  /** Closes all for good: a service may still come while open connections finish. */
  async closeAll(): Promise<void> {
    this.over = true;
    await Promise.all([...this.places.keys()].map((route) => this.close(route)));
  }

  /** Where clients are taken now. */
  listening(): Listening[] {
    const all: Listening[] = [];
    for (const { route, listener } of this.places.values()) {
      if (listener !== undefined) all.push({ service: route.name, address: listener.address, port: listener.port });
    }
    return all;
  }

  /** Where the route is reached, or why it is not. */
  where(route: Route): { listen?: string; reason?: Code } {
    const { listener, reason } = this.places.get(route) ?? {};
    if (listener === undefined) return reason === undefined ? {} : { reason };
    const { address, port } = listener;
    return { listen: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}` };
  }

  /** Routes that should be listened for, whether or not they can be. */
  get wanted(): number {
    return this.places.size;
  }

  private add(route: Route, host: string, port: number): Place {
    const place: Place = {
      route,
      host,
      port,
      listener: undefined,
      reason: undefined,
      cancelRetry: () => {},
      closed: false,
    };
    this.places.set(route, place);
    return place;
  }

  private async listen(place: Place): Promise<void> {
    const { sockets, log } = this.ports;
    const { route, host, port } = place;
    const listener = await sockets.listen(
      host,
      port,
      (connection) => this.onConnection(connection, route),
      (error) => log.warn("a connection was not accepted", { service: route.name, error: error.message }),
    );
    if (place.closed) {
      await listener.close();
      return;
    }
    place.listener = listener;
    place.reason = undefined;
    this.onChange();
    log.info("listening", { service: route.name, address: listener.address, port: listener.port });
  }

  private async try(place: Place, attempt: number): Promise<void> {
    try {
      await this.listen(place);
    } catch (thrown) {
      if (place.closed) return;
      const { clock, random, log } = this.ports;
      const error = asSwainError(thrown);
      if (place.reason !== error.code) {
        place.reason = error.code;
        this.onChange();
      }
      if (attempt === 0)
        log.warn("cannot listen yet", { service: place.route.name, code: error.code, error: error.message });
      place.cancelRetry = clock.after(jitteredMs(retry, attempt, random), () => void this.try(place, attempt + 1));
    }
  }
}
