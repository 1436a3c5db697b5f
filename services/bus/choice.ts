// Which of its servers a connection that was lost is made to next. A connection that merely broke is made to the same server
// again: the others may be far, or not be there at all, and each costs the time of a whole try. A server that is to blame, for it
// answers nothing or keeps no connection, comes last. Addresses that servers told of each other come after those that were
// given: they may be of another network. It also says when the wait before the next try is over, which the client measures by
// the wall clock: that may be set back. Given to the client by `connect.ts`.
import type { Server } from "nats";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/ids.ts";

/** A connection that lasted for less says that its server is not well. */
const briefMs = 10_000;
/** Between two tries at the same server: long enough for what a refused connection costs, short enough to be back within a second. */
const again = { waitMs: 250, jitterMs: 500 };

export class ServerChoice {
  private readonly clock: Pick<Clock, "mono">;
  private readonly random: Random;
  private readonly given: ReadonlySet<string>;
  private current = "";
  private connectedAt = -Infinity;
  private isBlamed = false;
  /** Since the connection was lost. */
  private readonly tried = new Set<string>();
  /** From the last try to the next one at the same server. */
  private pauseMs = 0;
  private dueAt = -Infinity;

  /** `given`: addresses as `host:port`. */
  constructor(clock: Pick<Clock, "mono">, random: Random, given: Iterable<string>) {
    this.clock = clock;
    this.random = random;
    this.given = new Set(given);
  }

  /** The connection is to that server, `host:port`. */
  connected(server: string): void {
    this.current = server;
    this.connectedAt = this.clock.mono();
    this.isBlamed = false;
    this.tried.clear();
  }

  /** Whether the server is to blame should the connection end now. */
  blame(isToBlame: boolean): void {
    this.isBlamed = isToBlame;
  }

  /** Null when there is none. Each comes once before any comes again. */
  next(pool: readonly Server[]): Server | null {
    const now = this.clock.mono();
    this.pauseMs = again.waitMs + again.jitterMs * this.random.next();
    this.dueAt = now + this.pauseMs;
    if (this.tried.size === 0 && now - this.connectedAt < briefMs) this.isBlamed = true;
    if (pool.every(({ listen }) => this.tried.has(listen))) this.tried.clear();
    const left = pool.filter(({ listen }) => !this.tried.has(listen));
    const [best = null] = left.toSorted((one, other) => this.rank(one) - this.rank(other));
    if (best !== null) this.tried.add(best.listen);
    return best;
  }

  /** What the client is to wait since it tried a server, in ms by the wall clock; less than nothing once it has waited. */
  wait(): number {
    return this.clock.mono() < this.dueAt ? this.pauseMs : -Infinity;
  }

  private rank({ listen }: Server): number {
    if (listen === this.current) return this.isBlamed ? 3 : 0;
    return this.given.has(listen) ? 1 : 2;
  }
}

/** An address as the client names its servers: `host:port`. What is no address is told as it is: the client says so. */
export function listenOf(address: string): string {
  try {
    const { hostname, port } = new URL(address.includes("://") ? address : `nats://${address}`);
    return `${hostname.toLowerCase()}:${port === "" ? 4222 : port}`;
  } catch {
    return address;
  }
}
