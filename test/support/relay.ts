// A TCP relay that a test puts between a part and the nats-server, to cut the way: what is sent then goes nowhere, and
// neither side is told, as with a cable that was pulled.
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

export class Relay {
  private readonly server: Server;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private isCut = false;

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

  cut(): void {
    this.isCut = true;
  }

  /** New connections pass again; those of before are ended, as they had missed something. */
  mend(): void {
    this.isCut = false;
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
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (chunk: Buffer) => {
        if (!this.isCut) to.write(chunk);
      });
      // The other end hears of it only while the way is open.
      from.on("close", () => {
        if (!this.isCut) to.destroy();
      });
      from.on("error", () => from.destroy());
    }
  }
}
