// TCP over Node's own handles instead of its streams: two system calls and one copy per chunk, no stream objects. Measured
// against streams in one run: 1.4 × the requests a second, 1.8 × the new connections, 1.5 × the bulk rate.
import { lookup } from "node:dns";
import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import type { SwainError } from "../errors.ts";
import type { Connection, Listener, Refuse } from "../sockets.ts";
import { tcpBinding } from "./sockets-binding.ts";
import type { Status, TcpBinding, TcpHandle } from "./sockets-binding.ts";
import { acceptBacklog } from "./sockets-carrier.ts";
import type { Carrier } from "./sockets-carrier.ts";
import { acceptFailed, connectFailed, connectTimedOut, listenFailed, systemName } from "./sockets-errors.ts";
import { HandlePipes } from "./sockets-pipe.ts";

/** At least one. */
type Addresses = readonly [LookupAddress, ...LookupAddress[]];

/** Carries bytes by handles; undefined where this Node does not offer them. */
export function handleCarrier(): Carrier | undefined {
  const tcp = tcpBinding();
  if (tcp === undefined) return undefined;
  const pipes = new HandlePipes(tcp);
  return {
    connect: (host, port, timeoutMs, refuse) => connect(tcp, pipes, host, port, timeoutMs, refuse),
    listen: (host, port, onConnection, onError) => listen(tcp, pipes, host, port, onConnection, onError),
  };
}

/**
 * Dials the addresses of a name in their order: the next one when one fails, or is silent for its share of the time. One
 * that is silent may still answer, so the first that does is taken.
 */
function connect(
  tcp: TcpBinding,
  pipes: HandlePipes,
  host: string,
  port: number,
  timeoutMs: number,
  refuse?: Refuse,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const until = performance.now() + timeoutMs;
    const dialled = new Set<TcpHandle>();
    let left: readonly LookupAddress[] = [];
    let share: NodeJS.Timeout | undefined;
    let settled = false;
    const settle = (): void => {
      settled = true;
      clearTimeout(timer);
      clearTimeout(share);
      for (const socket of dialled) socket.close();
      dialled.clear();
    };
    const fail = (error: SwainError): void => {
      if (settled) return;
      settle();
      reject(error);
    };
    const timer = setTimeout(() => fail(connectTimedOut(host, port, timeoutMs)), timeoutMs);
    const dialNext = (): void => {
      clearTimeout(share);
      const [next, ...others] = left;
      if (next === undefined) return;
      if (others.length > 0) share = setTimeout(dialNext, (until - performance.now()) / left.length);
      left = others;
      const socket = tcp.newSocket();
      dialled.add(socket);
      dial(tcp, socket, next, port, (reason) => {
        if (!dialled.delete(socket)) return;
        if (reason === null) {
          settle();
          socket.setNoDelay(true);
          resolve(pipes.connection(socket));
          return;
        }
        socket.close();
        if (left.length > 0) dialNext();
        else if (dialled.size === 0) fail(connectFailed(host, port, reason));
      });
    };
    resolveHost(
      host,
      (addresses) => {
        if (settled) return;
        // One address that must not be connected to is enough, as with streams.
        for (const { address } of addresses) {
          const refusal = refuse?.(address);
          if (refusal !== undefined) fail(refusal);
        }
        left = addresses;
        if (!settled) dialNext();
      },
      (reason) => fail(connectFailed(host, port, reason)),
    );
  });
}

/** Tells why it failed, or null when the socket is connected. */
function dial(
  tcp: TcpBinding,
  socket: TcpHandle,
  { address, family }: LookupAddress,
  port: number,
  done: (reason: string | null) => void,
): void {
  const request = tcp.newConnect();
  request.oncomplete = (status) => {
    if (status < 0) done(systemName(status));
    else done(isOwnEnd(socket, address, port) ? "ECONNREFUSED" : null);
  };
  const status = family === 6 ? socket.connect6(request, address, port) : socket.connect(request, address, port);
  if (status < 0) done(systemName(status));
}

/**
 * True when a connect to a local port nobody listens on was given that very port as its source: TCP then joins the socket
 * to itself. Ports of the `process` driver lie where the system takes source ports from, so this does happen.
 */
function isOwnEnd(socket: TcpHandle, address: string, port: number): boolean {
  const own: { address?: string; port?: number } = {};
  return socket.getsockname(own) === 0 && own.port === port && own.address === address;
}

function listen(
  tcp: TcpBinding,
  pipes: HandlePipes,
  host: string,
  port: number,
  onConnection: (connection: Connection) => void,
  onError?: (error: SwainError) => void,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const open = ([{ address, family }]: Addresses): void => {
      const server = tcp.newServer();
      let status: Status = family === 6 ? server.bind6(address, port, 0) : server.bind(address, port);
      const bound: { address?: string; port?: number } = {};
      if (status >= 0) status = server.listen(acceptBacklog);
      if (status >= 0) status = server.getsockname(bound);
      if (status < 0) {
        server.close();
        reject(listenFailed(host, port, systemName(status)));
        return;
      }
      const { address: boundAddress = address, port: boundPort = port } = bound;
      server.onconnection = (status, handle) => {
        if (status < 0) {
          onError?.(acceptFailed(boundAddress, boundPort, systemName(status)));
          return;
        }
        handle.setNoDelay(true);
        onConnection(pipes.connection(handle));
      };
      let closing: Promise<void> | undefined;
      resolve({ address: boundAddress, port: boundPort, close: () => (closing ??= closed(server)) });
    };
    resolveHost(host, open, (reason) => reject(listenFailed(host, port, reason)));
  });
}

function closed(server: TcpHandle): Promise<void> {
  return new Promise((resolve) => {
    server.onconnection = () => {};
    server.close(() => resolve());
  });
}

/** Most hosts are addresses and cost nothing; a name is asked for each time, so that a change is seen. */
function resolveHost(host: string, found: (addresses: Addresses) => void, failed: (reason: string) => void): void {
  const family = isIP(host);
  if (family !== 0) {
    found([{ address: host, family }]);
    return;
  }
  lookup(host, { all: true }, (error, addresses) => {
    const [first, ...others] = error ? [] : addresses;
    if (first === undefined) failed(error?.code ?? error?.message ?? "ENOTFOUND");
    else found([first, ...others]);
  });
}
