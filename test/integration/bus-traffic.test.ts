// What is seen of a slow way while much goes up it: over TLS the socket itself counts nothing as gone before all of it is.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { NatsConnection } from "nats";
import { afterEach, expect, it } from "vitest";
import { ensureCertificates } from "../../services/bus/embedded/certificates.ts";
import { Pulse } from "../../services/bus/pulse.ts";
import { trafficOf } from "../../services/bus/transport.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";

const bytesPerMs = 1500;
const lookMs = 2000;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
};
const kept = (socket: Socket): Socket => {
  socket.on("error", () => {});
  ends.push(() => socket.destroy());
  return socket;
};

it.each(["TCP", "TLS"])("bytes are seen to leave over %s", { timeout: 30_000 }, async (kind) => {
  const folder = await mkdtemp(join(tmpdir(), "swain-traffic-"));
  ends.push(() => rm(folder, { recursive: true, force: true }));
  const { paths } = await ensureCertificates(systemDisk, folder, { cluster: "c", hosts: [], now: Date.now() });
  const [key, cert] = await Promise.all([readFile(paths.key), readFile(paths.certificate)]);
  const take = (socket: Socket): void => void kept(socket).resume();
  const end = await listening(kind === "TLS" ? createTlsServer({ key, cert }, take) : createServer(take));
  let isSlow = false;
  const way = createServer((near) => {
    const far = kept(connect(end, "127.0.0.1"));
    far.pipe(kept(near));
    near.on("data", (chunk: Buffer) => {
      far.write(chunk);
      if (!isSlow) return;
      near.pause();
      setTimeout(() => near.resume(), chunk.length / bytesPerMs);
    });
  });
  const plain = kept(connect(await listening(way), "127.0.0.1"));
  const socket = kind === "TLS" ? kept(connectTls({ socket: plain, rejectUnauthorized: false })) : plain;
  await new Promise((resolve) => socket.once(kind === "TLS" ? "secureConnect" : "connect", resolve));
  isSlow = true;
  for (let piece = 0; piece < 48; piece += 1) socket.write(Buffer.alloc(512 * 1024));
  const connection = { protocol: { transport: { socket } } } as unknown as NatsConnection;
  // At first nothing waits yet.
  await new Promise((resolve) => setTimeout(resolve, lookMs));
  const pulse = new Pulse();
  pulse.ping(1, trafficOf(connection));
  for (let look = 0; look < 2; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    expect(pulse.ping(2 + look, trafficOf(connection)), `at look ${look + 1}`).toBe("beats");
  }
});
