// What the bus needs of the TCP connection under a NATS connection and the client does not offer: to end it at once, and to
// see whether anything moves. The client flushes before it ends one: with a server that reads no more, because its machine is gone
// or it stands still, that lasts until the kernel gives up, once more was sent than the buffers between them take. None of
// this is part of the client's interface; its version is pinned, and `bus-servers.test.ts` fails without what is used here.
import type { Socket } from "node:net";
import type { NatsConnection } from "nats";

interface Transport {
  readonly socket?: Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null };
  close(error: Error): Promise<void>;
}

const transportOf = (connection: NatsConnection): Transport =>
  (connection as unknown as { protocol: { transport: Transport } }).protocol.transport;

/** Ends the connection's transport. The client then connects anew, by itself. */
export function dropTransport(connection: NatsConnection, why: string): void {
  void transportOf(connection).close(new Error(why));
}

/** What a connection has carried so far. */
export interface Traffic {
  /** Bytes. */
  readonly came: number;
  /** Grows with what the kernel takes, whether or not it arrives. */
  readonly left: number;
  /** Above 0 while the kernel takes no more, because too much is on its way already. */
  readonly waiting: number;
}

export const noTraffic: Traffic = { came: 0, left: 0, waiting: 0 };

export function trafficOf(connection: NatsConnection): Traffic {
  const { socket } = transportOf(connection);
  if (socket === undefined) return noTraffic;
  const waiting = socket.writableLength + (socket._handle?.writeQueueSize ?? 0);
  return { came: socket.bytesRead, left: socket.bytesWritten - waiting, waiting };
}

/** True when the other side took or sent something in between. What leaves while nothing waits is no sign of it. */
export function hasMoved(before: Traffic, now: Traffic): boolean {
  return now.came !== before.came || (before.waiting > 0 && now.left !== before.left);
}
