// The machine's TCP, for real processes. It picks the faster of two ways to carry bytes: `sockets-handles.ts`, where this
// Node offers what that needs, else `sockets-streams.ts`. Both do the same; one suite of tests holds them to it.
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import type { Refuse, Sockets } from "../sockets.ts";
import type { Carrier } from "./sockets-carrier.ts";
import { connectFailed, connectTimedOut, listenFailed, refusalOf } from "./sockets-errors.ts";
import { handleCarrier } from "./sockets-handles.ts";
import { streamCarrier } from "./sockets-streams.ts";

/** TCP of this machine. */
export const systemSockets: Sockets = socketsOver(handleCarrier() ?? streamCarrier);

/**
 * All of `Sockets` over a way to carry bytes. An empty host is one that is not found: streams take it for this machine, and
 * a handle that is given what a lookup of it finds ends the process.
 */
export function socketsOver(carrier: Carrier): Sockets {
  const connect: Sockets["connect"] = async (host, port, timeoutMs, refuse) => {
    if (host === "") throw connectFailed(host, port, notFound);
    return carrier.connect(host, port, timeoutMs, refuse);
  };
  return {
    connect,
    listen: async (host, port, onConnection, onError) => {
      if (host === "") throw listenFailed(host, port, notFound);
      return carrier.listen(host, port, onConnection, onError);
    },
    probe: async (host, port, timeoutMs) => {
      try {
        const connection = await connect(host, port, timeoutMs);
        connection.destroy();
        return true;
      } catch {
        return false;
      }
    },
    ask: async (host, port, request, timeoutMs, refuse) => {
      if (host === "") throw connectFailed(host, port, notFound);
      return ask(host, port, request, timeoutMs, refuse);
    },
    localAddresses: () =>
      Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
    freePort: (host) => bindOnce(host, 0),
    canBind: (host, port) =>
      bindOnce(host, port).then(
        () => true,
        () => false,
      ),
  };
}

/** What the system says of a name that leads nowhere. */
const notFound = "ENOTFOUND";

/** A status line is far shorter. */
const mostLineBytes = 1024;

function ask(host: string, port: number, request: Uint8Array, timeoutMs: number, refuse?: Refuse): Promise<string> {
  return new Promise((resolve, reject) => {
    const refusal = refusalOf(host, refuse);
    if (refusal !== undefined) {
      reject(refusal);
      return;
    }
    let text = "";
    const socket = connect({ host, port, noDelay: true });
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      act();
    };
    const fail = (reason: string): void => settle(() => reject(connectFailed(host, port, reason)));
    const timer = setTimeout(() => settle(() => reject(connectTimedOut(host, port, timeoutMs))), timeoutMs);
    socket.on("lookup", (_error, address) => {
      const refusal = refusalOf(address, refuse);
      if (refusal !== undefined) settle(() => reject(refusal));
    });
    socket.once("connect", () => socket.write(request));
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.once("end", () => fail("no whole line came back"));
    socket.setEncoding("latin1").on("data", (chunk) => {
      text += String(chunk);
      const end = text.search(/\r?\n/);
      if (end >= 0 || text.length > mostLineBytes) settle(() => resolve(end >= 0 ? text.slice(0, end) : text));
    });
  });
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
