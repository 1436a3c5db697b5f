// Which of its servers a connection is with: when one is left, which is next, and that a slow way is not taken for a dead one.
import { connect as dial, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { connectTo } from "../support/bus.ts";
import { until, waitMs } from "../support/bus-world.ts";
import { describeServer, describeServers, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

describeServers("a connection", (binary) => {
  let server: TestServer | undefined;
  const open: Bus[] = [];

  afterEach(async () => {
    await Promise.all(open.splice(0).map((bus) => bus.close()));
    await server?.dispose();
    server = undefined;
  });

  const start = async (): Promise<TestServer> => (server = await startServer(binary));
  const connect = async (url: string): Promise<Bus> => {
    const bus = await connectTo(url);
    open.push(bus);
    return bus;
  };
  /** Notes each change of the connection from now on. */
  const states = (bus: Bus): string[] => {
    const noted: string[] = [];
    bus.onState((state) => noted.push(state));
    return noted;
  };

  describe("with two servers to choose from", () => {
    let servers: TestServer[];
    let bus: Bus;

    beforeEach(async () => {
      servers = await Promise.all([startServer(binary), startServer(binary)]);
      for (const [index, { url }] of servers.entries()) {
        const there = await connect(url);
        there.subscribe("who", (message) => there.publish(message.reply ?? "", index));
        await there.flush(waitMs);
      }
      bus = await connect(servers.map(({ url }) => url).join(","));
    });
    afterEach(async () => {
      await Promise.all(servers.map((each) => each.dispose()));
    });

    const connectedTo = async (one: Bus): Promise<number> =>
      (await one.request("who", undefined, { timeoutMs: waitMs })).json() as number;

    it("leaves one that stands still before nodes would be given up, whether or not much is on its way", async () => {
      const first = await connectedTo(bus);
      let busy: Bus;
      do busy = await connect(servers.map(({ url }) => url).join(","));
      while ((await connectedTo(busy)) !== first);
      const both = [bus, busy];
      const noted = both.map(states);
      await servers[first]?.freeze();
      // More than the buffers between them take: the client would wait for the server to read it.
      for (let count = 0; count < 16; count += 1) busy.publish("bulk", new Uint8Array(512 * 1024));
      // Two seconds more than the pings take.
      await until(() => noted.every((each) => each.includes("connected")), "they are connected again", 8000);
      expect(await Promise.all(both.map(connectedTo))).toEqual([1 - first, 1 - first]);
    });

    it("goes to the other when it is asked to", async () => {
      const first = await connectedTo(bus);
      const noted = states(bus);
      bus.elsewhere();
      await until(() => noted.includes("connected"), "it is connected again");
      expect(await connectedTo(bus)).toBe(1 - first);
      expect(noted).toEqual(["disconnected", "connected"]);
    });
  });

  it("goes to a server that was not there when it began, and leaves one that keeps no connection", async () => {
    const servers = await Promise.all([startServer(binary), startServer(binary)]);
    const [first, second] = servers;
    const bounced = new Set<Socket>();
    let bounces = false;
    const door = createServer((near) => {
      const far = dial(first.port, "127.0.0.1");
      for (const one of [near, far]) {
        bounced.add(one);
        one.on("error", () => {});
      }
      near.pipe(far).pipe(near);
      if (bounces) setTimeout(() => near.destroy(), 50);
    });
    await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
    try {
      await second.stop();
      const through = `nats://127.0.0.1:${(door.address() as AddressInfo).port}`;
      // By chance, which of the addresses is tried first; only one that was tried may be forgotten.
      const begun = Array.from({ length: 6 }, () => connect(`${through},${second.url}`));
      const buses = await Promise.all(begun);
      await second.start();
      const there = await connect(second.url);
      there.subscribe("who", (message) => there.publish(message.reply ?? "", "second"));
      await there.flush(waitMs);
      bounces = true;
      for (const one of bounced) one.destroy();
      const ask = (bus: Bus): Promise<unknown> =>
        bus.request("who", undefined, { timeoutMs: 300 }).then(
          (answer) => answer.json(),
          () => undefined,
        );
      const asked = async (): Promise<unknown> => new Set(await Promise.all(buses.map(ask)));
      await expect.poll(asked, { timeout: 10_000 }).toEqual(new Set(["second"]));
      await Promise.all([...buses, there].map((bus) => bus.close()));
    } finally {
      for (const one of bounced) one.destroy();
      door.close();
      await Promise.all(servers.map((each) => each.dispose()));
    }
  });

  it("is made in its time also where other servers stand still", async () => {
    const { url } = await start();
    // The kernel takes connections for a process that stands still; nobody answers on them.
    const taken = new Set<Socket>();
    const silent = Array.from({ length: 3 }, () => createServer((socket) => taken.add(socket)));
    try {
      const urls = silent.map(async (one) => {
        await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
        return `nats://127.0.0.1:${(one.address() as AddressInfo).port}`;
      });
      const servers = [url, ...(await Promise.all(urls))].join(",");
      // Which is tried first is chance.
      const begun = Array.from({ length: 6 }, () => connectTo(servers, { connectTimeoutMs: 4000 }));
      const tried = await Promise.allSettled(begun);
      for (const one of tried) if (one.status === "fulfilled") open.push(one.value);
      expect(tried.map(({ status }) => status)).toEqual(tried.map(() => "fulfilled"));
    } finally {
      for (const socket of taken) socket.destroy();
      for (const one of silent) one.close();
    }
  });

  it("stays where it is when there is no other server, whatever it is asked", async () => {
    const bus = await connect((await start()).url);
    const noted = states(bus);
    bus.elsewhere();
    await bus.flush(waitMs);
    await bus.flush(waitMs);
    expect(noted).toEqual([]);
  });
});

describeServer("current", "a connection over a slow way", (binary) => {
  it("is kept, in whichever direction much is on its way", async () => {
    const server = await startServer(binary);
    // Ten seconds of the way, which is longer than pings wait.
    const [bytesPerMs, pieces, pieceBytes] = [1500, 30, 500_000];
    const slow = (from: Socket, to: Socket): void => {
      from.on("data", (chunk: Buffer) => {
        from.pause();
        to.write(chunk);
        setTimeout(() => from.resume(), chunk.length / bytesPerMs);
      });
    };
    const way = createServer((near) => {
      const far = dial(server.port, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        slow(one, other);
        one.on("error", () => {});
        one.on("close", () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => way.listen(0, "127.0.0.1", resolve));
    const through = `nats://127.0.0.1:${(way.address() as AddressInfo).port}`;
    const [reading, sending, far] = await Promise.all([
      connectTo(`${through},${through}`),
      connectTo(`${through},${through}`),
      connectTo(server.url),
    ]);
    try {
      const states: string[] = [];
      const came = { there: 0, back: 0 };
      for (const near of [reading, sending]) near.onState((state) => states.push(state));
      reading.subscribe("back", () => (came.back += 1));
      far.subscribe("there", () => (came.there += 1));
      await Promise.all([reading.flush(waitMs), far.flush(waitMs)]);
      for (let piece = 0; piece < pieces; piece += 1) {
        far.publish("back", new Uint8Array(pieceBytes));
        sending.publish("there", new Uint8Array(pieceBytes));
      }
      await until(() => came.there === pieces && came.back === pieces, "all came");
      expect(states).toEqual([]);
    } finally {
      await Promise.all([reading, sending, far].map((bus) => bus.close()));
      way.close();
      await server.dispose();
    }
  });
});
