// The machine's TCP, for real processes. It picks the faster of two ways to carry bytes: `sockets-handles.ts`, where this
// Node offers what that needs, else `sockets-streams.ts`. Both do the same; one suite of tests holds them to it.
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import type { Sockets } from "../sockets.ts";
import type { Carrier } from "./sockets-carrier.ts";
import { handleCarrier } from "./sockets-handles.ts";
import { streamCarrier } from "./sockets-streams.ts";

/** TCP of this machine. */
export const systemSockets: Sockets = socketsOver(handleCarrier() ?? streamCarrier);

/** All of `Sockets` over a way to carry bytes. */
export function socketsOver(carrier: Carrier): Sockets {
  return {
    connect: (host, port, timeoutMs) => carrier.connect(host, port, timeoutMs),
    listen: (host, port, onConnection, onError) => carrier.listen(host, port, onConnection, onError),
    probe: async (host, port, timeoutMs) => {
      try {
        const connection = await carrier.connect(host, port, timeoutMs);
        connection.destroy();
        return true;
      } catch {
        return false;
      }
    },
    freePort: (host) => bindOnce(host, 0),
    canBind: (host, port) =>
      bindOnce(host, port).then(
        () => true,
        () => false,
      ),
  };
}

/** Listens for a moment; gives the port. */
function bindOnce(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    // `exclusive` matters in a cluster worker only; there the master would answer for us.
    server.listen({ host, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}
