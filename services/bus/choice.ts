// Which of its servers a connection that was lost is made to next. A connection that merely broke is made to the same server
// again: the others may be far, or not be there at all, and each costs the time of a whole try. A server that was left,
// because it answers nothing, comes last. Addresses that servers told of each other come after those that were given: they may be
// of another network. Given to the client by `connect.ts`.
import type { Server } from "nats";

export class ServerChoice {
  private current = "";
  private isBlamed = false;
  /** Since the connection was lost. */
  private readonly tried = new Set<string>();

  /** The connection is to that server, `host:port`. */
  connected(server: string): void {
    this.current = server;
    this.isBlamed = false;
    this.tried.clear();
  }

  /** Whether the server is to blame should the connection end now. */
  blame(isToBlame: boolean): void {
    this.isBlamed = isToBlame;
  }

  /** Null when there is none. Each comes once before any comes again. */
  next(pool: readonly Server[]): Server | null {
    if (pool.every(({ listen }) => this.tried.has(listen))) this.tried.clear();
    const left = pool.filter(({ listen }) => !this.tried.has(listen));
    const [best = null] = left.toSorted((one, other) => this.rank(one) - this.rank(other));
    if (best !== null) this.tried.add(best.listen);
    return best;
  }

  private rank({ listen, gossiped }: Server): number {
    if (listen === this.current) return this.isBlamed ? 3 : 0;
    return gossiped ? 2 : 1;
  }
}
