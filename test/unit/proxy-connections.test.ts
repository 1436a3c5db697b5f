import { describe, expect, it } from "vitest";
import type { Clock } from "../../services/kernel/clock.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Logger } from "../../services/kernel/log.ts";
import type { Connection, PipeResult, SocketEnd, Sockets } from "../../services/kernel/sockets.ts";
import { Connections } from "../../services/proxy/connections.ts";
import { proxyLimits } from "../../services/proxy/limits.ts";
import { ServiceLoad } from "../../services/proxy/load.ts";
import { Route } from "../../services/proxy/route.ts";
import { EndpointTable } from "../../services/proxy/table.ts";

/** Time that stands still until `advance`. */
class TestClock implements Clock {
  now = 0;
  private readonly timers = new Set<{ at: number; fn: () => void }>();
  wall = (): number => this.now;
  mono = (): number => this.now;
  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.now + ms, fn };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }
  every(): () => void {
    throw new Error("not used here");
  }
  async advance(ms: number): Promise<void> {
    this.now += ms;
    for (const timer of this.timers) {
      if (timer.at > this.now) continue;
      this.timers.delete(timer);
      timer.fn();
    }
    await settle();
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

class TestConnection implements Connection {
  destroyed = false;
  joined: Connection | undefined;
  carried = 0;
  readonly sent: Uint8Array[] = [];
  private resolve: (result: PipeResult) => void = () => {};
  peer = (): SocketEnd => ({ address: "192.0.2.1", port: 50_000 });
  local = (): SocketEnd => ({ address: "192.0.2.2", port: 80 });
  send(data: Uint8Array): void {
    this.sent.push(data);
  }
  pipe(other: Connection): Promise<PipeResult> {
    this.joined = other;
    return new Promise((resolve) => (this.resolve = resolve));
  }
  close(): void {
    this.resolve({ bytesSent: 0, bytesReceived: 0, failed: false });
  }
  destroy(): void {
    this.destroyed = true;
    this.close();
  }
}

interface Attempt {
  readonly port: number;
  readonly connection: TestConnection;
  succeed(): Promise<void>;
  fail(reason?: string): Promise<void>;
}

function setUp(pods: readonly string[], traffic: object = {}) {
  const clock = new TestClock();
  const attempts: Attempt[] = [];
  const lines: string[] = [];
  let freed = 0;
  const write = (message: string): void => void lines.push(message);
  const log: Logger = { ...silent, info: write, warn: write, error: write };
  const connect: Sockets["connect"] = (_host, port) =>
    new Promise((resolve, reject) => {
      const connection = new TestConnection();
      attempts.push({
        port,
        connection,
        succeed: () => (resolve(connection), settle()),
        fail: (reason = "ECONNREFUSED") => (
          reject(new SwainError("CONNECT_FAILED", reason, { details: { reason } })),
          settle()
        ),
      });
    });
  const sockets = { connect } as Sockets;
  const connections = new Connections(
    { clock, sockets, log },
    () => (freed += 1),
    () => {},
  );
  const route = new Route("default/web", undefined, clock, 0, new ServiceLoad(clock));
  const endpoints = (names: readonly string[]): void => {
    const table = new EndpointTable();
    const head = {
      namespace: "default",
      service: "web",
      ports: [{ port: 80, targetPort: "http" }],
      shards: 1,
      traffic,
    };
    const list = names.map((name) => ({
      pod: `default/${name.replace(/-external$/, "")}`,
      external: name.endsWith("-external"),
      node: "n",
      host: "h",
      addresses: [{ name: "http", host: "10.0.0.1", hostPort: Number(name.split("-")[1]) }],
    }));
    table.put("default.web.head", { logId: "a", sequence: 1, ...head }, 1, "watch");
    table.put("default.web.0", { logId: "a", sequence: 1, endpoints: list }, 2, "watch");
    table.loaded(new Set(["default.web.head", "default.web.0"]), 0);
    connections.left(route, route.update(table.partsOf("default/web"), "elsewhere"));
  };
  endpoints(pods);
  const client = async (): Promise<TestConnection> => {
    const one = new TestConnection();
    connections.accept(one, route);
    await settle();
    return one;
  };
  return { clock, attempts, lines, connections, route, endpoints, client, freed: () => freed };
}

describe("connections", () => {
  it("go to the next endpoint when one refuses, and are closed when all did", async () => {
    const { attempts, client, connections } = setUp(["p-1", "p-2", "p-3"]);
    const first = await client();
    await attempts[0]?.fail();
    await attempts[1]?.succeed();
    expect(attempts.map(({ port }) => port)).toEqual([1, 2]);
    expect(first.joined).toBe(attempts[1]?.connection);
    const second = await client();
    for (let n = 2; n < 5; n += 1) await attempts[n]?.fail();
    expect(new Set(attempts.slice(2).map(({ port }) => port)).size).toBe(3);
    expect(second.destroyed).toBe(true);
    expect(connections.count).toBe(1);
  });

  it("try a bounded number of endpoints", async () => {
    const { attempts, client } = setUp(Array.from({ length: 20 }, (_, index) => `p-${index + 1}`));
    const one = await client();
    for (let n = 0; n < attempts.length; n += 1) await attempts[n]?.fail();
    expect(attempts).toHaveLength(proxyLimits.tries);
    expect(one.destroyed).toBe(true);
  });

  it("do not hold it against an endpoint when this machine has no descriptor left", async () => {
    const { attempts, client, route, lines } = setUp(["p-1", "p-2"]);
    const one = await client();
    await attempts[0]?.fail("EMFILE");
    expect(one.destroyed).toBe(true);
    expect(attempts).toHaveLength(1);
    expect(lines).toContain("connection closed: this machine cannot open another");
    expect(route.rotation.all.map(({ past }) => past.failures)).toEqual([0, 0]);
  });

  it("never reach an endpoint that went while the connect was under way", async () => {
    const { attempts, client, endpoints, connections, freed } = setUp(["p-1"]);
    const one = await client();
    endpoints(["p-2"]);
    expect(connections.openOfGone(() => false)).toEqual({ "default/p-1": 1 });
    await attempts[0]?.succeed();
    expect(attempts[0]?.connection.destroyed).toBe(true);
    expect(freed()).toBe(1);
    await attempts[1]?.succeed();
    expect(attempts[1]?.port).toBe(2);
    expect(one.joined).toBe(attempts[1]?.connection);
  });

  it("of a pod that went are counted until they close, and nobody else's are", async () => {
    const { attempts, client, endpoints, connections, freed } = setUp(["p-1", "p-2"]);
    const clients = [await client(), await client(), await client()];
    for (const attempt of attempts) await attempt.succeed();
    expect(connections.openOfGone(() => false)).toEqual({});
    endpoints(["p-2"]);
    expect(connections.openOfGone((pod) => pod === "default/p-2")).toEqual({ "default/p-1": 2 });
    expect(connections.openOfGone(() => true)).toEqual({});
    clients[0]?.close();
    clients[1]?.close();
    await settle();
    expect(connections.openOfGone(() => false)).toEqual({ "default/p-1": 1 });
    expect(freed()).toBe(0);
    clients[2]?.close();
    await settle();
    expect(connections.openOfGone(() => false)).toEqual({});
    expect(freed()).toBe(1);
  });

  it("of a pod that went and is back are the same pod's: they fill it, and a drain of it waits for them", async () => {
    const { attempts, client, endpoints, connections, route, freed } = setUp(["p-1"], { maxConnectionsPerBackend: 1 });
    const first = await client();
    await attempts[0]?.succeed();
    endpoints([]);
    endpoints(["p-1"]);
    expect(route.rotation.all.map(({ open, total }) => [open, total])).toEqual([[1, 1]]);
    expect(connections.draining().size).toBe(0);
    const second = await client();
    expect(attempts).toHaveLength(1);
    first.close();
    await settle();
    await attempts[1]?.succeed();
    expect(second.joined).toBe(attempts[1]?.connection);
    endpoints([]);
    expect(connections.openOfGone(() => false)).toEqual({ "default/p-1": 1 });
    second.close();
    await settle();
    expect(connections.openOfGone(() => false)).toEqual({});
    expect(freed()).toBe(1);
  });

  it("of a pod that went are counted also where an external endpoint has its name", async () => {
    const { attempts, client, endpoints, connections, route } = setUp(["p-1", "p-1-external"]);
    const clients = [await client(), await client()];
    for (const attempt of attempts) await attempt.succeed();
    const isEndpoint = (pod: string): boolean => route.rotation.hasPod(pod);
    endpoints(["p-1-external"]);
    expect(connections.openOfGone(isEndpoint)).toEqual({ "default/p-1": 1 });
    endpoints([]);
    expect(connections.openOfGone(isEndpoint)).toEqual({ "default/p-1": 1 });
    expect(route.rotation.size).toBe(0);
    for (const one of clients) one.close();
  });

  it("beyond the limit are refused, which is said once in a while", async () => {
    const { attempts, client, connections, lines, clock } = setUp(["p-1"]);
    const first = await client();
    for (let n = 1; n < proxyLimits.connections; n += 1)
      connections.accept(new TestConnection(), new Route("x/y", undefined, clock, 0, new ServiceLoad(clock)));
    const refused = [await client(), await client()];
    expect(refused.every(({ destroyed }) => destroyed)).toBe(true);
    expect(lines.filter((line) => line.includes("limit"))).toHaveLength(1);
    await attempts[0]?.succeed();
    first.close();
    await settle();
    expect((await client()).destroyed).toBe(false);
  });

  it("without an endpoint wait for the first one a bounded time", async () => {
    const { client, clock, endpoints, attempts } = setUp([]);
    const one = await client();
    const two = await client();
    await clock.advance(proxyLimits.firstEndpointMs - 1);
    expect(one.destroyed).toBe(false);
    endpoints(["p-1"]);
    await settle();
    expect(attempts).toHaveLength(2);
    await clock.advance(proxyLimits.firstEndpointMs);
    expect([one.destroyed, two.destroyed]).toEqual([false, false]);
    endpoints([]);
    const three = await client();
    await clock.advance(proxyLimits.firstEndpointMs);
    expect(three.destroyed).toBe(true);
  });

  it("that wait for room get it when an endpoint that was left out for a moment is back, though nobody leaves", async () => {
    const { client, clock, attempts } = setUp(["p-1", "p-2"], { maxConnectionsPerBackend: 1 });
    await client();
    await attempts[0]?.succeed();
    const second = await client();
    await attempts[1]?.fail();
    const third = await client();
    expect(attempts.map(({ port }) => port)).toEqual([1, 2]);
    await clock.advance(proxyLimits.asideFirstMs + 100);
    await clock.advance(proxyLimits.waitingLookMs);
    expect(attempts.map(({ port }) => port)).toEqual([1, 2, 2]);
    await attempts[2]?.succeed();
    expect(second.joined).toBe(attempts[2]?.connection);
    expect(third.destroyed).toBe(false);
  });

  it("finish before a stop, or are dropped when its time is over", async () => {
    const { client, connections, clock, attempts } = setUp(["p-1"]);
    const one = await client();
    await attempts[0]?.succeed();
    const done = connections.finish(5000);
    await clock.advance(4999);
    expect(one.destroyed).toBe(false);
    one.close();
    await done;
    const two = await client();
    const dropped = connections.finish(5000);
    await clock.advance(5000);
    await dropped;
    expect(two.destroyed).toBe(true);
  });
});
