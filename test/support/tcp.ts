// TCP peers for tests of what carries bytes. Whoever imports this has everything undone after each test.
import { spawn } from "node:child_process";
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

/** A listener that answers nobody until `resume`: a stopped process with a full queue. */
export async function silentListener(): Promise<{ port: number; resume: () => void }> {
  const script = `require("node:net").createServer().listen({port:0,host:"${host}",backlog:1},function(){console.log(this.address().port)})`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  cleanups.push(() => child.kill("SIGKILL"));
  const port = Number(String(((await once(child.stdout, "data")) as [Buffer])[0]));
  child.kill("SIGSTOP");
  const filling = Array.from({ length: 6 }, () => connect({ host, port }));
  for (const socket of filling) {
    socket.on("error", () => {});
    cleanups.push(() => socket.destroy());
  }
  await Promise.race(filling.map((socket) => once(socket, "connect")));
  return { port, resume: () => child.kill("SIGCONT") };
}
