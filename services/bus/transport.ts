// Ends the TCP connection under a NATS connection at once. The client's own way flushes first: with a server that reads no more,
// because its machine is gone or it stands still, that ends only when the kernel gives up, once more was sent than the
// buffers between them take. The transport is no part of the client's interface; its version is pinned, and
// `bus-connect.test.ts` fails without what is used here.
import type { NatsConnection } from "nats";

interface Inside {
  readonly protocol: { readonly transport: { close(error: Error): Promise<void> } };
}

/** The client then connects anew, by itself. */
export function dropTransport(connection: NatsConnection, why: string): void {
  const { protocol } = connection as unknown as Inside;
  void protocol.transport.close(new Error(why));
}
