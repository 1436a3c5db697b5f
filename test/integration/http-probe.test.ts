// The HTTP side of readiness checks against real servers, well-behaved and not.
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemHttpProbe } from "../../services/kernel/node/http-probe.ts";
import { freePort } from "../support/ports.ts";

const servers: Server[] = [];
const sockets = new Set<Socket>();

/** A server that says exactly this to whoever asks; gives its port and what was asked. */
async function answering(reply: (socket: Socket) => void): Promise<{ port: number; asked: string[]; gone: number }> {
  const seen = { port: 0, asked: [] as string[], gone: 0 };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      seen.gone += 1;
    });
    socket.once("data", (data) => {
      seen.asked.push(data.toString());
      reply(socket);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  seen.port = (server.address() as AddressInfo).port;
  return seen;
}

const get = (port: number, more: { path?: string; hostHeader?: string; timeoutMs?: number } = {}) =>
  systemHttpProbe.get({ host: "127.0.0.1", port, path: "/", hostHeader: null, timeoutMs: 5000, ...more });

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

test("the status is what comes back, with path and host as asked", async () => {
  const server = await answering((socket) => socket.end("HTTP/1.1 204 No Content\r\n\r\n"));
  expect(await get(server.port, { path: "/health?deep=1", hostHeader: "shop.test" })).toEqual({ status: 204 });
  expect(server.asked[0]).toMatch(/^GET \/health\?deep=1 HTTP\/1\.1\r\n/);
  expect(server.asked[0]).toMatch(/\r\nhost: shop\.test\r\n/i);
});

test("a redirect is an answer and is not followed", async () => {
  const server = await answering((socket) => socket.end("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n\r\n"));
  expect(await get(server.port)).toEqual({ status: 302 });
  await expect.poll(() => server.gone).toBe(1);
  expect(server.asked).toHaveLength(1);
});

test("a body without end is not read", async () => {
  const server = await answering((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const more = (): boolean => socket.writable && socket.write("x".repeat(65_536)) && more();
    socket.on("drain", more);
    more();
  });
  expect(await get(server.port)).toEqual({ status: 200 });
  await expect.poll(() => server.gone).toBe(1);
});

test("a head without end, an answer that is no HTTP, and silence are told apart from nobody there", async () => {
  const endless = await answering((socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}`));
  expect(await get(endless.port)).toEqual({ failed: "the head of the answer is over 16 KiB", reached: true });
  const other = await answering((socket) => socket.end("220 smtp.test ready\r\n"));
  expect(await get(other.port)).toEqual({ failed: "the answer is no HTTP", reached: true });
  const mute = await answering(() => {});
  expect(await get(mute.port, { timeoutMs: 100 })).toEqual({ failed: "no answer within 100 ms", reached: true });
  await expect.poll(() => mute.gone).toBe(1);
  expect(await get(await freePort())).toEqual({ failed: "the connection was refused", reached: false });
  const shy = await answering((socket) => socket.end());
  expect(await get(shy.port)).toEqual({ failed: "the connection was closed without an answer", reached: true });
  const rude = await answering((socket) => socket.resetAndDestroy());
  expect(await get(rude.port)).toEqual({ failed: "the connection was reset", reached: true });
});
