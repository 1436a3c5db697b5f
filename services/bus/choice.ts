// Which of its servers a connection that was lost is made to next. A connection that merely broke is made to the same server
// again: the others may be far, or not be there at all, and each costs the time of a whole try. A server that is to blame, for it
// answers nothing or keeps no connection, comes last. Addresses that servers told of each other come after those that were
// given: they may be of another network. It says when, too: the client would measure by the wall clock, which may be set back.
// Given to the client by `connect.ts`.
import type { Server } from "nats";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/ids.ts";

/** A connection that lasted for less says that its server is not well. */
const briefMs = 10_000;
/** Between two tries at the same server: long enough for what a refused connection costs, short enough to be back within a second. */
const again = { waitMs: 250, jitterMs: 500 };

/** A server to try, and how long to wait before that. */
export interface Choice {
  readonly server: Server;
  readonly delay: number;
}

export class ServerChoice {
  private readonly clock: Pick<Clock, "mono">;
  private readonly random: Random;
  private readonly given: ReadonlySet<string>;
  private current = "";
  private connectedAt = -Infinity;
  private isBlamed = false;
  /** Since the connection was lost. */
  private readonly tried = new Set<string>();
  /** Address → when it was last tried. */
  private readonly triedAt = new Map<string, number>();

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
  next(pool: readonly Server[]): Choice | null {
    const now = this.clock.mono();
    if (this.tried.size === 0 && now - this.connectedAt < briefMs) this.isBlamed = true;
    if (pool.every(({ listen }) => this.tried.has(listen))) this.tried.clear();
    const left = pool.filter(({ listen }) => !this.tried.has(listen));
    const [best] = left.toSorted((one, other) => this.rank(one) - this.rank(other));
    if (best === undefined) return null;
    this.tried.add(best.listen);
    const from = (this.triedAt.get(best.listen) ?? -Infinity) + again.waitMs + again.jitterMs * this.random.next();
    // The tries before the first connection are made at the pace of `connect.ts`.
    const delay = this.connectedAt === -Infinity ? 0 : Math.ceil(Math.max(0, from - now));
    for (const listen of this.triedAt.keys())
      if (!pool.some((one) => one.listen === listen)) this.triedAt.delete(listen);
    this.triedAt.set(best.listen, now + delay);
    return { server: best, delay };
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
