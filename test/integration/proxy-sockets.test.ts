import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { SwainError } from "../../services/kernel/errors.ts";
import { handleCarrier } from "../../services/kernel/node/sockets-handles.ts";
import { streamCarrier } from "../../services/kernel/node/sockets-streams.ts";
import { socketsOver } from "../../services/kernel/node/sockets.ts";
import type { Connection, Listener, PipeResult } from "../../services/kernel/sockets.ts";
import { backend, cleanups, client, host, readAll, silentListener, stalled } from "../support/tcp.ts";

const hashOf = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

const handles = handleCarrier();

it("this Node offers the handles", () => expect(handles).toBeDefined());

describe.each([
  ["handles", handles ?? streamCarrier],
  ["streams", streamCarrier],
])("TCP over %s", (kind, carrier) => {
  const sockets = socketsOver(carrier);

  /** A proxy of one backend. */
  async function forward(to: number): Promise<{ port: number; results: PipeResult[]; listener: Listener }> {
    const results: PipeResult[] = [];
    const listener = await sockets.listen(host, 0, (near) => {
      void sockets.connect(host, to, 2000).then(
        async (far) => results.push(await near.pipe(far)),
        () => near.destroy(),
      );
    });
    cleanups.push(() => listener.close());
    return { port: listener.port, results, listener };
  }

  it("carries a large body whose sender ends first, and the whole answer after it", async () => {
    const body = randomBytes(9_000_001);
    const answer = randomBytes(7_000_003);
    let got = "";
    const to = await backend((socket) => {
      void readAll(socket).then((data) => {
        got = hashOf(data);
        socket.end(answer);
      });
    });
    const { port, results } = await forward(to);
    const socket = await client(port);
    const reply = readAll(socket);
    socket.end(body);
    expect(hashOf(await reply)).toBe(hashOf(answer));
    expect(got).toBe(hashOf(body));
    await vi.waitFor(() =>
      expect(results).toEqual([{ bytesSent: body.length, bytesReceived: answer.length, failed: false }]),
    );
  });

  it("tells both ends of a connection, what it carried so far, and sends a word before the client's first", async () => {
    let far: Connection | undefined;
    let near: Connection | undefined;
    const got: Buffer[] = [];
    const to = await backend((socket) => {
      socket.on("data", (data) => got.push(data));
      socket.write("hello");
    });
    const listener = await sockets.listen(host, 0, (connection) => {
      near = connection;
      void sockets.connect(host, to, 2000).then((other) => {
        far = other;
        other.send(Buffer.from("before "));
        return connection.pipe(other);
      });
    });
    cleanups.push(() => listener.close());
    const socket = await client(listener.port);
    socket.write("after");
    await vi.waitFor(() => expect(Buffer.concat(got).toString()).toBe("before after"));
    expect(near?.peer()).toEqual({ address: host, port: socket.localPort });
    expect(near?.local()).toEqual({ address: host, port: listener.port });
    expect(far?.peer()).toEqual({ address: host, port: to });
    await vi.waitFor(() => expect([near?.carried, far?.carried]).toEqual([5, 5]));
    socket.resetAndDestroy();
    await vi.waitFor(() => expect([near?.peer(), far?.local()]).toEqual([undefined, undefined]));
  });

  it("gives the first line of an answer, and says when there is none", async () => {
    const line = await backend((socket) =>
      socket.once("data", (data) => socket.write(`you said ${data.toString()}\r\nmore`)),
    );
    const mute = await backend(() => {});
    const ends = await backend((socket) => socket.end("half a line"));
    const ask = (port: number): Promise<string> => sockets.ask(host, port, Buffer.from("hi"), 300);
    expect(await ask(line)).toBe("you said hi");
    await expect(ask(mute)).rejects.toMatchObject({ code: "CONNECT_TIMEOUT" });
    await expect(ask(ends)).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  });

  it("goes on taking a client's body after the backend has ended its side", async () => {
    const body = randomBytes(5_000_001);
    let got: Promise<Buffer> | undefined;
    const to = await backend((socket) => {
      got = readAll(socket);
      socket.end("first word");
    });
    const { port, results } = await forward(to);
    const socket = await client(port);
    expect((await readAll(socket)).toString()).toBe("first word");
    socket.end(body);
    await vi.waitFor(() => expect(results).toHaveLength(1));
    expect(hashOf((await got)!)).toBe(hashOf(body));
  });

  it("carries both directions at once, byte for byte", async () => {
    const to = await backend((socket) => socket.pipe(socket));
    const { port } = await forward(to);
    const bodies = Array.from({ length: 8 }, (_, index) => randomBytes(1_500_000 + index));
    const echoed = await Promise.all(
      bodies.map(async (body) => {
        const socket = await client(port);
        const reply = readAll(socket);
        for (let at = 0; at < body.length; at += 70_001) socket.write(body.subarray(at, at + 70_001));
        socket.end();
        return hashOf(await reply);
      }),
    );
    expect(echoed).toEqual(bodies.map(hashOf));
  });

  it("carries small messages at once, without waiting to fill a packet", async () => {
    // Each side answers only when it has both parts of a message, so with Nagle's algorithm each would wait for a late ack.
    const sayTwice = async (socket: Socket): Promise<void> => {
      socket.write("a");
      await new Promise((resolve) => setTimeout(resolve, 2));
      socket.write("b");
    };
    const to = await backend((socket) => {
      let got = 0;
      socket.setNoDelay(true).on("data", (data: Buffer) => {
        got += data.length;
        if (got % 2 === 0) void sayTwice(socket);
      });
    });
    const { port } = await forward(to);
    const socket = (await client(port)).setNoDelay(true);
    const started = performance.now();
    for (let round = 0; round < 50; round += 1) {
      await sayTwice(socket);
      for (let got = 0; got < 2;) got += ((await once(socket, "data")) as [Buffer])[0].length;
    }
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it("keeps what a slow reader has not taken apart from what others send meanwhile", async () => {
    const pieces: Buffer[] = [];
    let stalled = false;
    const to = await backend((socket) => {
      socket.once("data", (word: Buffer) => {
        if (String(word).startsWith("echo")) {
          socket.write(word);
          socket.pipe(socket);
          return;
        }
        // Small pieces with pauses, so that none of them is taken for bulk.
        const more = (): void => {
          const piece = randomBytes(9000);
          pieces.push(piece);
          if (socket.write(piece)) setTimeout(more, 0);
          else {
            stalled = true;
            socket.end();
          }
        };
        more();
      });
    });
    const { port } = await forward(to);
    const slow = await client(port);
    slow.pause();
    slow.write("send");
    const other = await client(port);
    const reply = readAll(other);
    other.write("echo");
    const noise = setInterval(() => other.write(Buffer.alloc(5000, "x")), 1);
    cleanups.push(() => clearInterval(noise));
    await vi.waitFor(() => expect(stalled).toBe(true), { timeout: 30_000 });
    const slowReply = readAll(slow);
    slow.resume();
    expect(hashOf(await slowReply)).toBe(hashOf(Buffer.concat(pieces)));
    clearInterval(noise);
    other.end();
    expect((await reply).toString()).toMatch(/^echox+$/);
  });

  it("stops reading from a fast sender while its reader is slow, and loses nothing", async () => {
    const total = 192 * 1024 * 1024;
    const chunk = randomBytes(1024 * 1024);
    let sent = 0;
    const to = await backend((socket) => {
      const more = (): void => {
        while (sent < total) {
          sent += chunk.length;
          if (!socket.write(chunk)) return void socket.once("drain", more);
        }
        socket.end();
      };
      more();
    });
    const { port, results } = await forward(to);
    const socket = await client(port);
    let received = 0;
    socket.on("data", (data: Buffer) => (received += data.length));
    socket.pause();
    await stalled(() => sent);
    // What the kernel's buffers of two connections take, and one chunk of ours.
    expect(sent).toBeLessThan(48 * 1024 * 1024);
    socket.resume();
    await once(socket, "end");
    expect(received).toBe(total);
    socket.end();
    await vi.waitFor(() => expect(results[0]?.failed).toBe(false));
  });

  it("passes a backend's reset on as a reset, not as an orderly end", async () => {
    const to = await backend((socket) => {
      socket.write("half of");
      socket.once("data", () => socket.resetAndDestroy());
    });
    const { port, results } = await forward(to);
    const socket = await client(port);
    const reply = readAll(socket);
    socket.write("go");
    await expect(reply).rejects.toMatchObject({ code: "ECONNRESET" });
    await vi.waitFor(() => expect(results[0]?.failed).toBe(true));
  });

  it("passes a backend's reset on also where what is sent to it before the client's first word meets it", async () => {
    const joinLate = async (answer: string): Promise<{ socket: Socket; result: Promise<PipeResult> }> => {
      let reset: () => void = () => {};
      const isReset = new Promise<void>((resolve) => (reset = resolve));
      const to = await backend((socket) => {
        if (answer !== "") socket.write(answer);
        setTimeout(() => {
          socket.once("close", reset);
          socket.resetAndDestroy();
        }, 50);
      });
      let accept: (near: Connection) => void = () => {};
      const accepted = new Promise<Connection>((resolve) => (accept = resolve));
      const listener = await sockets.listen(host, 0, (near) => accept(near));
      cleanups.push(() => listener.close());
      const socket = await client(listener.port);
      const far = await sockets.connect(host, to, 2000);
      await isReset;
      far.send(Buffer.from("before"));
      return { socket, result: (await accepted).pipe(far) };
    };
    const { socket, result } = await joinLate("");
    await expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(await result).toMatchObject({ failed: true });
    // Streams may lose what came before it.
    const answered = await joinLate("half of");
    expect(await answered.result).toMatchObject({ failed: true, ...(kind === "handles" ? { bytesReceived: 7 } : {}) });
  });

  it("passes a client's reset on to the backend", async () => {
    let gone: Promise<Buffer> | undefined;
    const to = await backend((socket) => {
      gone = readAll(socket);
      gone.catch(() => {});
    });
    const { port } = await forward(to);
    const socket = await client(port);
    socket.write("half of");
    await vi.waitFor(() => expect(gone).toBeDefined());
    socket.resetAndDestroy();
    await expect(gone).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  // Streams cannot tell: libuv reports such a reset as an end.
  if (kind === "handles") {
    it("knows a reset that comes together with the last bytes from an orderly end", async () => {
      let accepted: () => void = () => {};
      const to = await backend((socket) => {
        socket.resume();
        accepted();
      });
      const { port, results } = await forward(to);
      for (let round = 1; round <= 50; round += 1) {
        const joined = new Promise<void>((resolve) => (accepted = resolve));
        const socket = await client(port);
        socket.write("half of");
        await joined;
        socket.resetAndDestroy();
        await vi.waitFor(() => expect(results).toHaveLength(round), { interval: 1 });
      }
      expect(results.filter(({ failed }) => !failed)).toEqual([]);
    });
  }

  // Streams lose the answer when the reset overtakes it.
  if (kind === "handles")
    it("delivers the answer of a backend that refuses a body early", async () => {
      const to = await backend((socket) => {
        socket.once("data", () => socket.end("413 too large", () => socket.destroy()));
      });
      const { port } = await forward(to);
      const socket = await client(port);
      const chunks: Buffer[] = [];
      socket.on("data", (data: Buffer) => chunks.push(data));
      const body = Buffer.alloc(64 * 1024 * 1024);
      socket.write(body);
      await vi.waitFor(() => expect(Buffer.concat(chunks).toString()).toBe("413 too large"));
    });

  it("ends a pair whose ends both do not read when one of them dies", async () => {
    const endsWithout = async (dies: "client" | "backend"): Promise<void> => {
      const chunk = Buffer.alloc(256 * 1024);
      let sent = 0;
      const flood = (socket: Socket): void => {
        do sent += chunk.length;
        while (socket.write(chunk));
        socket.once("drain", () => flood(socket));
      };
      let accept: (socket: Socket) => void = () => {};
      const accepted = new Promise<Socket>((resolve) => (accept = resolve));
      const { port, results } = await forward(await backend((socket) => accept(socket.pause())));
      const ends = { client: (await client(port)).pause(), backend: await accepted };
      flood(ends.client);
      flood(ends.backend);
      await stalled(() => sent);
      const left = ends[dies === "client" ? "backend" : "client"];
      const heard = new Promise((resolve) => left.once("close", resolve));
      ends[dies].resetAndDestroy();
      await heard;
      await vi.waitFor(() => expect(results).toMatchObject([{ failed: true }]));
    };
    await Promise.all([endsWithout("client"), endsWithout("backend")]);
  });

  it("drops both sides when a connection is destroyed", async () => {
    const to = await backend((socket) => socket.resume());
    let drop: (() => void) | undefined;
    let result: Promise<PipeResult> | undefined;
    const listener = await sockets.listen(host, 0, (near) => {
      void sockets.connect(host, to, 2000).then((far) => {
        drop = () => far.destroy();
        result = near.pipe(far);
      });
    });
    cleanups.push(() => listener.close());
    const socket = await client(listener.port);
    const reset = expect(readAll(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    await vi.waitFor(() => expect(drop).toBeDefined());
    drop?.();
    expect((await result)?.failed).toBe(true);
    await reset;
  });

  it("keeps open connections when the listener closes, and takes no new ones", async () => {
    const to = await backend((socket) => socket.pipe(socket));
    const { port, listener } = await forward(to);
    const socket = await client(port);
    socket.write("one");
    await once(socket, "data");
    await listener.close();
    socket.write("two");
    expect(String(((await once(socket, "data")) as [Buffer])[0])).toBe("two");
    expect(await sockets.probe(host, port, 500)).toBe(false);
  });

  it("says why a connect failed: refused, unknown name, no answer", async () => {
    const port = await sockets.freePort(host);
    await expect(sockets.connect(host, port, 1000)).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      details: { reason: "ECONNREFUSED" },
    });
    await expect(sockets.connect("no-such-host.invalid", port, 1000)).rejects.toBeInstanceOf(SwainError);
    const { port: silent } = await silentListener();
    const started = performance.now();
    await expect(sockets.connect(host, silent, 300)).rejects.toMatchObject({ code: "CONNECT_TIMEOUT" });
    expect(performance.now() - started).toBeLessThan(1500);
  });

  it("takes an empty host for one that is not found, wherever it is given", async () => {
    const to = await backend(() => {});
    const nowhere = { code: "CONNECT_FAILED", details: { reason: "ENOTFOUND" } };
    await expect(sockets.connect("", to, 1000)).rejects.toMatchObject(nowhere);
    await expect(sockets.ask("", to, Buffer.from("hi"), 1000)).rejects.toMatchObject(nowhere);
    expect(await sockets.probe("", to, 1000)).toBe(false);
    await expect(sockets.listen("", 0, () => {})).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });

  it("says why a listen failed: port taken, address not of this machine", async () => {
    const { port } = await forward(1);
    await expect(sockets.listen(host, port, () => {})).rejects.toMatchObject({ code: "PORT_IN_USE" });
    await expect(sockets.listen("203.0.113.7", 0, () => {})).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    expect(await sockets.canBind(host, port)).toBe(false);
    expect(await sockets.canBind(host, await sockets.freePort(host))).toBe(true);
  });

  it("listens by name, on IPv6 too, and probes", async () => {
    const to = await backend((socket) => socket.end("hello"));
    expect(await sockets.probe("localhost", to, 1000)).toBe(true);
    const listener = await sockets.listen("localhost", 0, (near) => cleanups.push(() => near.destroy()));
    cleanups.push(() => listener.close());
    expect(await sockets.probe(listener.address, listener.port, 1000)).toBe(true);
    if (!(await sockets.canBind("::1", 0))) return;
    const six = await sockets.listen("::1", 0, (near) => cleanups.push(() => near.destroy()));
    cleanups.push(() => six.close());
    expect(six.address).toBe("::1");
    expect(await sockets.probe("::1", six.port, 1000)).toBe(true);
  });
});
