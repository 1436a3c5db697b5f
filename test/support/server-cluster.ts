// Several nats-servers that form one cluster with JetStream, each a process that a test may end and start again.
import { execFileSync } from "node:child_process";
import { featuresOf } from "../../services/bus/features.ts";
import type { Bus } from "../../services/bus/port.ts";
import { connectTo } from "./bus.ts";
import { until } from "./cluster.ts";
import { freePort } from "./ports.ts";
import { startServer } from "./nats.ts";
import type { ServerBinary, TestServer } from "./nats.ts";

interface StreamState {
  readonly config: { readonly name: string; readonly num_replicas: number };
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly name: string; readonly current: boolean; readonly offline?: boolean }[];
  };
}

/** Where nobody answers: servers dial those they were told of by others, too, and server-1 must not. */
const nowhere = "127.0.0.1:1";

export class ServerCluster {
  /** By name: server-1, server-2 … */
  readonly servers: ReadonlyMap<string, TestServer>;
  /** At which the others reach server-1. It reaches none of them, so that nothing else joins it with them. */
  private readonly firstRoute: number;
  private join: () => void = () => {};

  private constructor(servers: ReadonlyMap<string, TestServer>, firstRoute: number) {
    this.servers = servers;
    this.firstRoute = firstRoute;
  }

  /** Starts three servers, each of which may store as much as `maxFileStore` says; those beside the first may be `others`. */
  static async start(
    binary: ServerBinary,
    maxFileStore = "100GB",
    others = { binary, maxFileStore },
  ): Promise<ServerCluster> {
    const routes = await Promise.all([freePort(), freePort(), freePort()]);
    const [first] = routes;
    const servers = new Map<string, TestServer>();
    const cluster = new ServerCluster(servers, first);
    try {
      for (const [index, port] of routes.entries()) {
        const name = `server-${index + 1}`;
        const urls = (index === 0 ? [first] : routes).map((dialled) => `nats://127.0.0.1:${dialled}`);
        const config = [
          `server_name: ${name}`,
          `cluster { name: test, listen: "127.0.0.1:${port}", routes: ${JSON.stringify(urls)}, advertise: "${nowhere}" }`,
        ].join("\n");
        const one = index === 0 ? { binary, maxFileStore } : others;
        const { syncAlways } = featuresOf(one.binary.version);
        servers.set(name, await startServer(one.binary, { config, syncAlways, maxFileStore: one.maxFileStore }));
      }
      await cluster.elected();
      return cluster;
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  /** All addresses, as parts take them. */
  get urls(): string {
    return [...this.servers.values()].map(({ url }) => url).join(",");
  }

  server(name: string): TestServer {
    const server = this.servers.get(name);
    if (server === undefined) throw new Error(`no server is named ${name}`);
    return server;
  }

  /** Nothing passes between server-1 and the others any more; its clients go on to reach it. */
  cutOffFirst(): void {
    const port = String(this.firstRoute);
    const rules = ["--dport", "--sport"].map((side) => ["INPUT", "-p", "tcp", side, port, "-j", "DROP"]);
    const each = (verb: string): void => {
      for (const rule of rules) execFileSync("iptables", ["-w", verb, ...rule]);
    };
    each("-I");
    this.join = () => {
      each("-D");
      this.join = () => {};
    };
  }

  /** All passes again. */
  joinFirst(): void {
    this.join();
  }

  /** Which server leads a stream. */
  async leaderOf(bus: Bus, stream: string): Promise<string> {
    return until(`${stream} has a leader`, async () => {
      const info = (await bus.request(`$JS.API.STREAM.INFO.${stream}`, undefined, { timeoutMs: 2000 })).json();
      return (info as StreamState).cluster?.leader;
    });
  }

  /** Has that server lead a stream. */
  async lead(bus: Bus, stream: string, name: string): Promise<void> {
    const wish = { placement: { preferred: name } };
    if ((await this.leaderOf(bus, stream)) !== name) {
      await bus.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, wish, { timeoutMs: 5000 });
    }
    await until(`${name} leads ${stream}`, async () => (await this.leaderOf(bus, stream)) === name);
  }

  /** Waits until every stream has a leader and all its copies are up to date: only then may the next server go. */
  async whole(bus: Bus, ms = 30_000): Promise<void> {
    await until(
      "every copy of every stream is current",
      async () => {
        const reply = (await bus.request("$JS.API.STREAM.LIST", {}, { timeoutMs: 2000 })).json();
        const { streams = [], missing } = reply as { streams?: readonly StreamState[]; missing?: readonly string[] };
        const states = streams.map(({ config, cluster }) => {
          const { leader = "", replicas = [] } = cluster ?? {};
          const good = replicas.filter(({ current, offline }) => current && offline !== true).length;
          return leader !== "" && good === this.servers.size - 1 && config.num_replicas === this.servers.size;
        });
        if (missing === undefined && states.length > 0 && states.every(Boolean)) return true;
        throw new Error(JSON.stringify(reply).slice(0, 4000));
      },
      ms,
      100,
    );
  }

  /** Waits until the servers have chosen who leads them: before, JetStream answers nobody. */
  private async elected(): Promise<void> {
    const bus = await connectTo(this.urls);
    const ask = (): Promise<unknown> => bus.request("$JS.API.STREAM.NAMES", {}, { timeoutMs: 250 });
    try {
      await until("JetStream answers", async () => (await ask()) !== undefined, 20_000, 50);
    } finally {
      await bus.close();
    }
  }

  async dispose(): Promise<void> {
    this.join();
    await Promise.all([...this.servers.values()].map((server) => server.dispose()));
  }
}
