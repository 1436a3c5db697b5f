// A TCP relay that a test puts between a part and the nats-server, to cut the way: what is sent then goes nowhere, and
// neither side is told, as with a cable that was pulled.
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

type Way = "there" | "back";

export class Relay {
  private readonly server: Server;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  /** Which way nothing passes: to the target, back from it, or both. */
  private readonly cutWays = new Set<Way>();

  private constructor(server: Server) {
    this.server = server;
  }

  static open(target: { readonly host: string; readonly port: number }): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server);
    server.on("connection", (near) => relay.accept(near, connect(target.port, target.host)));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(relay));
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  cut(...ways: readonly Way[]): void {
    for (const way of ways.length === 0 ? (["there", "back"] as const) : ways) this.cutWays.add(way);
  }

  /** New connections pass again; those of before are ended, as they had missed something. */
  mend(): void {
    this.cutWays.clear();
    this.drop();
  }

  close(): void {
    this.server.close();
    this.drop();
  }

  private drop(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
    this.pairs.clear();
  }

  private accept(near: Socket, far: Socket): void {
    const pair = [near, far] as const;
    this.pairs.add(pair);
    for (const [way, from, to] of [
      ["there", near, far],
      ["back", far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (chunk: Buffer) => {
        if (!this.cutWays.has(way)) to.write(chunk);
      });
      // The other end hears of it only while the way is open.
      from.on("close", () => {
        if (this.cutWays.size === 0) to.destroy();
      });
      from.on("error", () => from.destroy());
    }
  }
}
