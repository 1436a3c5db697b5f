// What the bus needs of the TCP connection under a NATS connection and the client does not offer: to end it at once, and to
// see whether anything moves. The client flushes before it ends one: with a server that reads no more, because its machine is gone
// or it stands still, that lasts until the kernel gives up, once more was sent than the buffers between them take. None of
// this is part of the client's interface; its version is pinned, and `bus-servers.test.ts` and `bus-traffic.test.ts` fail without what is used here.
import type { Socket } from "node:net";
import type { NatsConnection } from "nats";
import { noTraffic } from "./pulse.ts";
import type { Traffic } from "./pulse.ts";

/** Node's TCP handle: bytes written to it, and those of them that the kernel has not taken. */
interface Handle {
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}

interface HandledSocket extends Socket {
  readonly _handle?: Handle | null;
  /** Of a TLS socket the one below: of what it is given itself it counts nothing as gone before all of it is. */
  readonly _parent?: HandledSocket | null;
}

interface Transport {
  readonly socket?: HandledSocket;
  close(error: Error): Promise<void>;
}

const transportOf = (connection: NatsConnection): Transport =>
  (connection as unknown as { protocol: { transport: Transport } }).protocol.transport;

/** Ends the connection's transport. The client then connects anew, by itself. */
export function dropTransport(connection: NatsConnection, why: string): void {
  void transportOf(connection).close(new Error(why));
}

/** What the connection has carried so far. */
export function trafficOf(connection: NatsConnection): Traffic {
  const { socket } = transportOf(connection);
  if (socket === undefined) return noTraffic;
  const handle = (socket._parent ?? socket)._handle;
  if (handle === undefined || handle === null) return noTraffic;
  const { bytesWritten, writeQueueSize: waiting } = handle;
  return { came: socket.bytesRead, left: bytesWritten - waiting, waiting };
}
