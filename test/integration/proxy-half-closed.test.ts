// Pairs of connections one of whose peers has ended its side, or is gone, over both ways to carry bytes.
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { handleCarrier } from "../../services/kernel/node/sockets-handles.ts";
import { streamCarrier } from "../../services/kernel/node/sockets-streams.ts";
import { socketsOver } from "../../services/kernel/node/sockets.ts";
import type { Connection, PipeResult } from "../../services/kernel/sockets.ts";
import { backend, cleanups, client, host, readAll } from "../support/tcp.ts";

/** More than the carrier waits between two looks. */
const sweepMs = 16_000;

describe.each([
  ["handles", handleCarrier],
  ["streams", () => streamCarrier],
])("half-closed pairs over %s", (kind, carrierOf) => {
  afterEach(() => void vi.useRealTimers());

  /** A client and a backend joined by a carrier whose sweeps come with `sweep`; `before` is done to the backend's connection. */
  async function joined(before: (far: Connection) => unknown = () => {}) {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const sockets = socketsOver(carrierOf() ?? streamCarrier);
    let accept: (socket: Socket) => void = () => {};
    const accepted = new Promise<Socket>((resolve) => (accept = resolve));
    const to = await backend((socket) => accept(socket.pause()));
    let join: (pair: { near: Connection; far: Connection; result: Promise<PipeResult> }) => void = () => {};
    const pair = new Promise<Parameters<typeof join>[0]>((resolve) => (join = resolve));
    const listener = await sockets.listen(host, 0, (near) => {
      void sockets.connect(host, to, 2000).then(async (far) => {
        await before(far);
        join({ near, far, result: near.pipe(far) });
      });
    });
    cleanups.push(() => listener.close());
    const ends = { client: await client(listener.port), backend: await accepted };
    const { near, far, result } = await pair;
    let over: PipeResult | undefined;
    void result.then((result) => (over = result));
    const sweep = async (): Promise<void> => {
      vi.advanceTimersByTime(sweepMs);
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    return { ...ends, near, far, over: () => over, sweep };
  }

  const ended = async (socket: Socket): Promise<void> => {
    const all = readAll(socket);
    socket.resume();
    await all;
  };

  // Streams do not say whether a peer that has ended is still there.
  if (kind === "handles") {
    it("end when the client that ended its side is gone, though the backend is silent", async () => {
      const { client, backend, over, sweep } = await joined();
      client.end("request");
      await ended(backend);
      await sweep();
      expect(over()).toBeUndefined();
      client.resetAndDestroy();
      await vi.waitFor(async () => {
        await sweep();
        expect(over()).toEqual({ bytesSent: 7, bytesReceived: 0, failed: true });
      });
    });

    it("end when the backend that ended its side is gone, though the client is silent", async () => {
      const { client, backend, over, sweep } = await joined();
      backend.end("answer");
      await ended(client);
      await sweep();
      expect(over()).toBeUndefined();
      backend.resetAndDestroy();
      await vi.waitFor(async () => {
        await sweep();
        expect(over()).toEqual({ bytesSent: 0, bytesReceived: 6, failed: true });
      });
    });

    it("take nothing from what a slow backend has not read yet of a client that is gone", async () => {
      const body = randomBytes(1_000_000);
      const { client, backend, near, over, sweep } = await joined();
      client.end(body);
      await vi.waitFor(() => expect(near.carried).toBe(body.length));
      client.resetAndDestroy();
      for (let n = 0; n < 5; n += 1) await sweep();
      const got = readAll(backend);
      backend.resume();
      expect((await got).equals(body)).toBe(true);
      await vi.waitFor(async () => {
        await sweep();
        expect(over()?.failed).toBe(true);
      });
    });
  }

  it("stay as long as both peers are there, and carry a late answer", async () => {
    const { client, backend, over, sweep } = await joined();
    const answer = readAll(client);
    client.end("request");
    await ended(backend);
    for (let n = 0; n < 10; n += 1) await sweep();
    expect(over()).toBeUndefined();
    backend.end("late");
    expect(String(await answer)).toBe("late");
    await vi.waitFor(() => expect(over()).toEqual({ bytesSent: 7, bytesReceived: 4, failed: false }));
  });
});
