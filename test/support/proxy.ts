// A bus with an endpoints bucket, pods that answer, a proxy and clients: what tests of the proxy need. Whoever imports this
// has everything undone after each test.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, vi } from "vitest";
import { proxyMetrics } from "../../schemas/generated/messages.js";
import type { EndpointsHead, ProxyHeartbeat, ProxyMetrics } from "../../schemas/generated/types.ts";
import { connectBus } from "../../services/bus/connect.ts";
import type { Bus } from "../../services/bus/port.ts";
import { permissionsOf, seedFile } from "../../services/bus/embedded/roles.ts";
import type { Permissions, Role } from "../../services/bus/embedded/roles.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { heardAfter } from "../../services/controller/nodes/proxies.ts";
import type { Heard } from "../../services/controller/nodes/proxies.ts";
import { Lifecycle } from "../../services/kernel/lifecycle.ts";
import { silent } from "../../services/kernel/log.ts";
import type { LogFields, Logger } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { startProxy } from "../../services/proxy/main.ts";
import type { ProxyOptions, RunningProxy } from "../../services/proxy/main.ts";
import { newUser, startServer } from "./nats.ts";
import type { ServerBinary, TestServer } from "./nats.ts";

export const host = "127.0.0.1";
const cluster = "default";
const subjects = subjectsOf(cluster);
export const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  const closing = new Lifecycle();
  for (const cleanup of cleanups.splice(0)) closing.add(async () => void (await cleanup()));
  await closing.close();
});

interface Pod {
  readonly pod: string;
  readonly port: number;
}

/** A pod's TCP server: says its name, then echoes. */
export async function startPod(name: string): Promise<Pod & { server: Server; stop(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => open.delete(socket));
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
  server.listen(0, host);
  await once(server, "listening");
  const stop = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  cleanups.push(stop);
  return { pod: `default/${name}`, port: (server.address() as AddressInfo).port, server, stop };
}

/** Plays the controller: writes what it would write. */
export class Cluster {
  readonly server: TestServer;
  readonly bus: Bus;
  readonly creds: ReadonlyMap<Role, string>;
  readonly beats: ProxyHeartbeat[] = [];
  readonly metrics: ProxyMetrics[] = [];
  logId = "log-a";
  private heard: Heard | undefined;
  /** Of the event written last; set back, the log has lost its end. */
  sequence = 10;

  constructor(server: TestServer, bus: Bus, creds: ReadonlyMap<Role, string>) {
    this.server = server;
    this.creds = creds;
    this.bus = bus;
    bus.subscribe(subjects.proxy.heartbeat("p1"), (message) => {
      const beat = message.json() as ProxyHeartbeat;
      this.beats.push(beat);
      this.heard = heardAfter(this.heard, beat);
    });
    bus.subscribe(subjects.proxy.metrics("p1"), (message) => {
      const metrics = message.json();
      if (!proxyMetrics(metrics)) throw new Error("metrics that do not fit their schema");
      this.metrics.push(metrics);
    });
  }

  /** What the heartbeats add up to, as the leader reads them. */
  get lastBeat(): Heard | undefined {
    return this.heard;
  }

  async head(service: string, port: number, shards = 1, traffic?: EndpointsHead["traffic"]): Promise<number> {
    const sequence = (this.sequence += 1);
    const ports = [{ name: "http", port, targetPort: "http" }];
    await this.put(`default.${service}.head`, {
      logId: this.logId,
      sequence,
      namespace: "default",
      service,
      ports,
      shards,
      ...(traffic === undefined ? {} : { traffic }),
    });
    return sequence;
  }

  async pods(service: string, pods: readonly Pod[]): Promise<number> {
    const sequence = (this.sequence += 1);
    const endpoints = pods.map(({ pod, port }) => ({
      pod,
      node: "n1",
      host: "another-host",
      addresses: [{ name: "http", host, hostPort: port }],
    }));
    await this.put(`default.${service}.0`, { logId: this.logId, sequence, endpoints });
    return sequence;
  }

  async put(key: string, value: unknown): Promise<void> {
    const bucket = this.bus.bucket(subjects.buckets.endpoints);
    await bucket.put(key, JSON.stringify(value), (await bucket.get(key))?.revision ?? 0);
  }

  async remove(key: string): Promise<void> {
    const bucket = this.bus.bucket(subjects.buckets.endpoints);
    await bucket.remove(key, (await bucket.get(key))?.revision ?? 0);
  }
}

async function busOf(server: TestServer, creds?: string): Promise<Bus> {
  const bus = await connectBus({
    servers: server.url,
    name: "test",
    cluster,
    clock: systemClock,
    random: systemRandom,
    log: silent,
    ...(creds === undefined ? {} : { creds }),
  });
  cleanups.push(() => bus.close());
  return bus;
}

/** With `roles` the server knows users by role, and `Cluster.creds` has their keys. */
export async function startCluster(binary: ServerBinary, roles: readonly Role[] = []): Promise<Cluster> {
  const keys = new Map(roles.map((role) => [role, newUser()]));
  const users: (Permissions & { nkey: string })[] = [];
  for (const [role, { nkey }] of keys) users.push({ nkey, ...permissionsOf(role, cluster) });
  const server = await startServer(binary, users.length === 0 ? {} : { users });
  cleanups.push(() => server.dispose());
  const creds = new Map<Role, string>();
  const path = folder();
  for (const [role, { seed }] of keys) {
    const file = seedFile(path, role);
    writeFileSync(file, seed, { mode: 0o600 });
    creds.set(role, file);
  }
  const bus = await busOf(server, creds.get("controller"));
  await ensureStreams(bus, cluster, { replicas: 1 });
  return new Cluster(server, bus, creds);
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "swain-proxy-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export async function proxyOf(server: string, options: Partial<ProxyOptions> = {}): Promise<RunningProxy> {
  const proxy = await startProxy({
    server,
    cluster,
    id: "p1",
    data: options.data ?? folder(),
    log: silent,
    ...options,
  });
  cleanups.push(() => proxy.stop());
  return proxy;
}

export const web = [{ namespace: "default", name: "web", listen: `${host}:0` }];
export const portOf = (proxy: RunningProxy): number => proxy.listening()[0]?.port ?? 0;

export class Client {
  readonly socket: Socket;
  private text = "";

  constructor(port: number, address = host) {
    this.socket = connect({ host: address, port, allowHalfOpen: true });
    this.socket.on("error", () => {});
    this.socket.on("data", (data: Buffer) => (this.text += data.toString("latin1")));
    cleanups.push(() => this.socket.destroy());
  }

  /** The name of the pod that answers. */
  async pod(): Promise<string> {
    await this.until((text) => text.includes("\n"));
    return this.text.slice(0, this.text.indexOf("\n"));
  }

  async echo(word: string): Promise<void> {
    this.socket.write(word);
    await this.until((text) => text.endsWith(word));
  }

  async end(): Promise<void> {
    this.socket.end();
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once("close", resolve));
  }

  private async until(fits: (text: string) => boolean): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.socket.closed) throw new Error("closed");
        expect(fits(this.text)).toBe(true);
      },
      { timeout: 5000, interval: 5 },
    );
  }
}

/** The pod that one new connection reaches, or "closed". */
export async function ask(port: number): Promise<string> {
  const client = new Client(port);
  const closed = new Promise<string>((resolve) => client.socket.once("close", () => resolve("closed")));
  const name = await Promise.race([client.pod().catch(() => "closed"), closed]);
  client.socket.destroy();
  return name;
}

export async function askMany(port: number, times: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < times; n += 1) {
    const name = await ask(port);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

export const until = (check: () => unknown, timeout = 10_000): Promise<unknown> =>
  vi.waitFor(check, { timeout, interval: 20 });

/** A logger that collects its lines. */
export function logInto(lines: string[]): Logger {
  const write = (message: string, fields?: LogFields): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { debug: write, info: write, warn: write, error: write, with: () => logInto(lines) };
}
