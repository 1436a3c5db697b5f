// TCP peers for tests of what carries bytes. Whoever imports this has everything undone after each test.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterEach, expect, vi } from "vitest";
import { Lifecycle } from "../../services/kernel/lifecycle.ts";

export const host = "127.0.0.1";
export const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  const closing = new Lifecycle();
  for (const cleanup of cleanups.splice(0)) closing.add(async () => void (await cleanup()));
  await closing.close();
});

/** A server that hands over each client; gives its port. */
export async function backend(onClient: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    cleanups.push(() => socket.destroy());
    onClient(socket);
  });
  server.listen(0, host);
  await once(server, "listening");
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

export async function client(port: number): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on("error", () => {});
  cleanups.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Everything until the peer's end; rejects when the peer resets. */
export function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", () => resolve(Buffer.concat(chunks)));
    socket.once("error", reject);
  });
}

/** Resolves when the count has not grown for a moment, because nobody reads. */
export async function stalled(count: () => number): Promise<void> {
  let before = 0;
  await vi.waitFor(
    () => {
      const now = count();
      const settled = now === before && now > 0;
      before = now;
      expect(settled).toBe(true);
    },
    { timeout: 20_000, interval: 300 },
  );
}
