// TCP over Node's public streams: works everywhere, at about half the speed of `sockets-handles.ts`. A peer that has ended
// its side and then goes without a word more is noticed only with the next bytes for it: streams do not tell.
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { SwainError } from "../errors.ts";
import type { Connection, PipeResult, SocketEnd } from "../sockets.ts";
import { acceptBacklog, keepAliveAfterMs } from "./sockets-carrier.ts";
import type { Carrier } from "./sockets-carrier.ts";
import { acceptFailed, connectFailed, connectTimedOut, listenFailed, refusalOf } from "./sockets-errors.ts";

/** Carries bytes by Node's streams. */
export const streamCarrier: Carrier = {
  connect(host, port, timeoutMs, refuse) {
    return new Promise((resolve, reject) => {
      const refusal = refusalOf(host, refuse);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true, ...probing });
      const timer = setTimeout(() => fail(connectTimedOut(host, port, timeoutMs)), timeoutMs);
      const fail = (error: SwainError): void => {
        clearTimeout(timer);
        socket.on("error", () => {});
        socket.destroy();
        reject(error);
      };
      const onError = (error: NodeJS.ErrnoException): void => {
        fail(connectFailed(host, port, error.code ?? error.message));
      };
      socket.once("error", onError);
      socket.on("lookup", (_error, address) => {
        const refusal = refusalOf(address, refuse);
        if (refusal !== undefined) fail(refusal);
      });
      socket.once("connect", () => {
        if (socket.localPort === port && socket.localAddress === socket.remoteAddress) {
          // Nobody listens there: TCP joined the socket to itself, as `sockets-handles.ts` explains.
          fail(connectFailed(host, port, "ECONNREFUSED"));
          return;
        }
        clearTimeout(timer);
        socket.off("error", onError);
        resolve(new StreamConnection(socket));
      });
    });
  },

  listen(host, port, onConnection, onError) {
    return new Promise((resolve, reject) => {
      const server = createServer(
        { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true, ...probing },
        (socket) => onConnection(new StreamConnection(socket)),
      );
      const onListenError = (error: NodeJS.ErrnoException): void => {
        reject(listenFailed(host, port, error.code ?? error.message));
      };
      server.once("error", onListenError);
      server.listen({ host, port, backlog: acceptBacklog, exclusive: true }, () => {
        const bound = server.address() as AddressInfo;
        server.off("error", onListenError);
        server.on("error", (error: NodeJS.ErrnoException) => {
          onError?.(acceptFailed(bound.address, bound.port, error.code ?? error.message));
        });
        resolve({
          address: bound.address,
          port: bound.port,
          // A server calls back only when its connections are gone too; it has let go of the port before.
          close: () => {
            server.close();
            return Promise.resolve();
          },
        });
      });
    });
  },
};

const probing = { keepAliveInitialDelay: keepAliveAfterMs };

class StreamConnection implements Connection {
  private readonly socket: Socket;
  private broken = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {
      this.broken = true;
    });
  }

  get carried(): number {
    return this.socket.bytesRead;
  }

  peer(): SocketEnd | undefined {
    // Node remembers them past the end.
    const { remoteAddress: address, remotePort: port, destroyed } = this.socket;
    return destroyed || address === undefined || port === undefined ? undefined : { address, port };
  }

  local(): SocketEnd | undefined {
    // Node remembers them past the end.
    const { localAddress: address, localPort: port, destroyed } = this.socket;
    return destroyed || address === undefined || port === undefined ? undefined : { address, port };
  }

  send(data: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(data);
  }

  destroy(): void {
    this.broken = true;
    this.socket.resetAndDestroy();
  }

  pipe(other: Connection): Promise<PipeResult> {
    if (!(other instanceof StreamConnection)) {
      throw new SwainError("INTERNAL", "two connections of different kinds cannot be joined");
    }
    const near = this.socket;
    const far = other.socket;
    return new Promise((resolve) => {
      let left = 2;
      const onClose = (): void => {
        // A side that closed without its peer's end, or with an error, takes the other with it.
        if (this.broken || other.broken || !near.readableEnded || !far.readableEnded) {
          this.destroy();
          other.destroy();
        }
        left -= 1;
        if (left > 0) return;
        const failed = this.broken || other.broken;
        resolve({ bytesSent: near.bytesRead, bytesReceived: far.bytesRead, failed });
      };
      for (const socket of [near, far]) {
        if (socket.closed) onClose();
        else socket.once("close", onClose);
      }
      near.pipe(far);
      far.pipe(near);
    });
  }
}
