// Which of its servers a connection is with: when one is left, which is next, and that a slow way is not taken for a dead one.
import { connect as dial, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { connectTo } from "../support/bus.ts";
import { until, waitMs } from "../support/bus-world.ts";
import { describeServers, startServer } from "../support/nats.ts";
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

    const connectedTo = async (): Promise<number> =>
      (await bus.request("who", undefined, { timeoutMs: waitMs })).json() as number;

    // More than the buffers between them take: the client would wait for the server to read it.
    it.each([0, 16])(
      "leaves one that stands still, with %s pieces of 512 KiB on their way, before nodes would be given up",
      async (pieces) => {
        const first = await connectedTo();
        const noted = states(bus);
        await servers[first]?.freeze();
        for (let count = 0; count < pieces; count += 1) bus.publish("bulk", new Uint8Array(512 * 1024));
        // Two seconds more than the pings take.
        await until(() => noted.includes("connected"), "it is connected again", 8000);
        expect(await connectedTo()).toBe(1 - first);
      },
    );

    it("goes to the other when it is asked to", async () => {
      const first = await connectedTo();
      const noted = states(bus);
      bus.elsewhere();
      await until(() => noted.includes("connected"), "it is connected again");
      expect(await connectedTo()).toBe(1 - first);
      expect(noted).toEqual(["disconnected", "connected"]);
    });
  });

  it.each(["what it reads", "what it sends"])("keeps a connection over which %s goes slowly", async (what) => {
    const { port, url } = await start();
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
      const far = dial(port, "127.0.0.1");
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
    try {
      const through = `nats://127.0.0.1:${(way.address() as AddressInfo).port}`;
      const [near, far] = [await connect(`${through},${through}`), await connect(url)];
      const noted = states(near);
      const [from, to] = what === "what it reads" ? [far, near] : [near, far];
      let came = 0;
      to.subscribe("bulk", () => (came += 1));
      await to.flush(waitMs);
      for (let piece = 0; piece < pieces; piece += 1) from.publish("bulk", new Uint8Array(pieceBytes));
      await until(() => came === pieces, "all came");
      expect(noted).toEqual([]);
      await near.close();
    } finally {
      way.close();
    }
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

  it("stays where it is when there is no other server, whatever it is asked", async () => {
    const bus = await connect((await start()).url);
    const noted = states(bus);
    bus.elsewhere();
    await bus.flush(waitMs);
    await bus.flush(waitMs);
    expect(noted).toEqual([]);
  });
});
