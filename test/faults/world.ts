// A cluster of plain processes on four nodes, each with a way of its own to the bus that a test may cut, and what to do to it.
import { randomBytes } from "node:crypto";
import { expect, onTestFailed } from "vitest";
import { Cluster, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { service, web } from "../support/manifests.ts";
import { describeEngine } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { describeServer } from "../support/nats.ts";
import { noSecondTry } from "../support/second-tries.ts";
import type { ServerBinary } from "../support/nats.ts";
import { Relay } from "../support/relay.ts";
import type { Host } from "./host.ts";
import { Plan } from "./plan.ts";
import { programs, Recording } from "./recording.ts";
import type { Figures } from "./recording.ts";

/** Workloads with names of their own: other tests look for processes of theirs by the names of pods. */
const many = "tally";
const single = "ledger";
export const nodes = ["node-1", "node-2", "node-3", "node-4"];
const controllers = ["controller-1", "controller-2"];

export interface Fault {
  readonly fault: string;
  readonly promise: string;
  /** How far the leader's clock may be from the witness's. */
  readonly skewMs?: number;
}

const ages = { all: ["current", "old"], current: ["current"], old: ["old"] } as const;

/** The servers that SWAIN_FAULTS names: `all` for the report, else `current` or `old`, which is one of CI's turns. */
const served = ages[(process.env["SWAIN_FAULTS"] ?? "current") as keyof typeof ages];

/** A suite of faults on each of those servers. */
export function describeFaults(title: string, suite: (server: ServerBinary) => void): void {
  for (const age of served) describeServer(age, title, suite);
}

/** A suite of faults on the engines that go with those servers. */
export async function describeEngineFaults(title: string, suite: (engine: TestEngine) => void): Promise<void> {
  await describeEngine(
    title,
    suite,
    served.map((age) => (age === "current" ? "docker" : "podman")),
  );
}

export interface WorldOptions {
  readonly engine?: { readonly name: string; readonly socket: string };
  /** Where the last node is; the bus is reached by its cable, and so are the pods there. */
  readonly host?: Host;
  /** Where its data lies; parts that die are then started again by their supervisor, not by the test. */
  readonly parent?: string;
  /** Is given its data folder before any part runs. */
  readonly prepare?: (data: string) => void;
}

export class FaultWorld {
  readonly cluster: Cluster;
  readonly relays = new Map<string, Relay>();
  readonly mark: string;
  private readonly server: ServerBinary;
  private readonly port: number;
  private readonly pids = new Map<string, number>();
  private readonly runtime: string;
  private spec: object = {};

  private constructor(cluster: Cluster, server: ServerBinary, port: number, runtime: string) {
    this.cluster = cluster;
    this.server = server;
    this.port = port;
    this.runtime = runtime;
    this.mark = cluster.data.split("-").at(-1) ?? "";
  }

  /** Of plain processes, or of containers on an engine. */
  static async open(natsServer: ServerBinary, options: WorldOptions = {}): Promise<FaultWorld> {
    const { engine, host, parent, prepare } = options;
    const args = engine === undefined ? [] : ["--engine", engine.socket];
    if (host !== undefined) args.push("--listen", host.near, "--insecure", "--proxy-host", "127.0.0.1");
    const cluster = await Cluster.up({
      nodes: nodes.length,
      controllers: controllers.length,
      natsServer,
      restart: parent !== undefined,
      runtime: engine === undefined ? "process" : "docker",
      args,
      ...(parent === undefined ? {} : { parent }),
      ...(prepare === undefined ? {} : { prepare }),
    });
    const runtime = engine?.name ?? (host === undefined ? "processes" : "processes, one node in a network namespace");
    const world = new FaultWorld(cluster, natsServer, await freePort(), runtime);
    try {
      if (host !== undefined) await world.move(host);
      else if (parent === undefined) await world.layWays();
      await world.apply();
    } catch (error) {
      await world.dispose();
      throw error;
    }
    return world;
  }

  /** Agents reach the bus through relays of their own. */
  private async layWays(): Promise<void> {
    const { hostname: host, port } = new URL(this.cluster.server);
    for (const node of nodes) {
      const relay = await Relay.open({ host, port: Number(port) });
      this.relays.set(node, relay);
      await this.kill(`agent-${node}`);
      this.revive(`agent-${node}`);
    }
  }

  /** The last node goes on at that host. */
  private async move(host: Host): Promise<void> {
    const agent = `agent-${nodes.at(-1)}`;
    await this.kill(agent);
    const { pid } = this.cluster.revive(agent, (arg) => (arg === host.near ? host.address : arg), {}, host.within);
    if (pid !== undefined) this.pids.set(agent, pid);
  }

  /** Six pods behind the proxy, and one that must never run twice. */
  async apply(spec: object = {}): Promise<void> {
    this.spec = spec;
    const env = this.env;
    const fenced = web(single, { replicas: 1, fence: true, lostAfter: "10s", ...spec }, { env });
    const applied = await this.cluster.apply([this.deploy("first", 6), service(many, this.port), fenced], "--wait");
    if (applied.code !== 0) throw new Error(applied.stdout + applied.stderr);
  }

  /** By which the witness knows the programs, and where these listen. */
  private get env(): { name: string; value: string }[] {
    return [
      { name: "FAULT_RUN", value: this.mark },
      { name: "SWAIN_HOST", value: "0.0.0.0" },
    ];
  }

  /** The workload behind the proxy, with another template for each release. */
  private deploy(release: string, replicas: number): object {
    const env = [...this.env, { name: "FAULT_RELEASE", value: release }];
    return web(many, { replicas, ...this.spec }, { env });
  }

  /** Does something to the cluster while it is watched, with chance of a fresh seed or the given one; what came of it. */
  async run({ fault, promise, skewMs = 0 }: Fault, work: (run: Recording) => Promise<void>): Promise<Figures> {
    const { cluster, port, mark, runtime } = this;
    const server = `nats-server ${this.server.version}`;
    const plan = new Plan(process.env["SWAIN_TEST_SEED"] ?? randomBytes(4).toString("hex"));
    // Also what is expected of the figures, after the run, fails with the seed in its message.
    onTestFailed(({ task }) => {
      const hint = `\n${fault}: SWAIN_TEST_SEED=${plan.seed} makes the same choices again`;
      for (const error of task.result?.errors ?? []) error.message += hint;
    });
    const options = { cluster, port, mark, fault, promise, plan, skewMs, runtime, server };
    const deploy = (release: string, replicas: number): object => this.deploy(release, replicas);
    const run = await Recording.start({ ...options, workload: many, fenced: single, deploy });
    let is: Figures;
    try {
      await work(run);
    } finally {
      is = await run.finish();
    }
    console.log(`${fault}: ${JSON.stringify(is)}`);
    expect(is, noSecondTry).toMatchObject(harmless);
    return is;
  }

  programs(node?: string): number[] {
    return programs(this.mark).flatMap((life) => (node === undefined || life.node === node ? [life.pid] : []));
  }

  /** Kills some of all programs, by chance. One that a rollout ends in this moment is none of them. */
  killSome(run: Recording, count: number): void {
    const pids = new Map(programs(this.mark).map(({ pod, pid }) => [pod, pid]));
    let left = count;
    for (const pod of run.victims([...pids.keys()], pids.size)) {
      const pid = pids.get(pod);
      if (pid === undefined || left === 0 || isGone(pid)) continue;
      process.kill(pid, "SIGKILL");
      run.hit(pid);
      left -= 1;
    }
    expect(left, "programs to kill").toBe(0);
  }

  /** The node of the pod that must not run twice. */
  get fencedNode(): string {
    return programs(this.mark).find(({ workload }) => workload === single)?.node ?? "";
  }

  /** Another node that has pods, by chance. */
  otherNode(run: Recording): string {
    const serving = new Set(programs(this.mark).flatMap(({ workload, node }) => (workload === many ? [node] : [])));
    serving.delete(this.fencedNode);
    return run.victim([...serving]);
  }

  /** Cuts a node off from the bus for a minute, amid changes. The node is chosen when they are under way. */
  async cutOff(run: Recording, nodeOf: () => string): Promise<void> {
    run.keepChanging([7, 6], 5000);
    await run.onset();
    const node = nodeOf();
    run.fault();
    this.relay(node).cut();
    await after(60_000);
    this.relay(node).mend();
    run.mended();
    await after(3000);
  }

  pid(part: string): number {
    return this.pids.get(part) ?? this.cluster.pid(part);
  }

  isAlive(part: string): boolean {
    return !isGone(this.pid(part));
  }

  async kill(part: string): Promise<void> {
    const pid = this.pid(part);
    process.kill(pid, "SIGKILL");
    await until(`${part} is gone`, async () => isGone(pid), 10_000, 20);
  }

  revive(part: string, env: NodeJS.ProcessEnv = {}): void {
    const { port } = new URL(this.cluster.server);
    const relay = this.relays.get(part.replace("agent-", ""));
    const change = (arg: string): string => (relay === undefined ? arg : arg.replace(`:${port}`, `:${relay.port}`));
    const { pid } = this.cluster.revive(part, change, env);
    if (pid !== undefined) this.pids.set(part, pid);
  }

  /** Stands still for a while. */
  async freeze(part: string, ms: number): Promise<void> {
    process.kill(this.pid(part), "SIGSTOP");
    try {
      await after(ms);
    } finally {
      process.kill(this.pid(part), "SIGCONT");
    }
  }

  relay(node: string): Relay {
    const relay = this.relays.get(node);
    if (relay === undefined) throw new Error(`no relay of ${node}`);
    return relay;
  }

  async dispose(): Promise<void> {
    for (const relay of this.relays.values()) relay.close();
    await this.cluster.dispose();
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

export const counts = [4, 5, 6, 7, 8, 9];
/** Whatever happens, these are 0. A machine that stalls explains none of them, so CI does not try again. */
export const harmless = { lost: 0, doubled: 0, stale: 0 };
export const untouched = { ...harmless, unasked: 0, byFence: 0, replaced: 0 };

/** The run was one worth its name, and nobody was left without answers or programs for longer than this. */
export function seen(is: Figures, limits: { silenceMs: number; convergedMs: number; noRollout?: boolean }): void {
  expect(is.acknowledged).toBeGreaterThan(1);
  if (limits.noRollout !== true) expect(is.rolling, "a rollout that the fault met").toBeGreaterThan(0);
  expect(is.requests).toBeGreaterThan(100);
  expect(is.silenceMs, "silence").toBeLessThan(limits.silenceMs);
  expect(is.convergedMs, "converged").toBeLessThan(limits.convergedMs);
}

/** A node fell silent with the fault and came back with its end: the leader's rules hold to the second. */
export function noticed(is: Figures): void {
  expect(is.unknownMs, "unknown").toBeGreaterThan(2500);
  expect(is.unknownMs, "unknown").toBeLessThan(5000);
}

/** Besides, its pods were given up after the 15 s they are waited for by default, and their old copies end when it is back. */
export function replaced(is: Figures): void {
  noticed(is);
  expect(is.replaced).toBeGreaterThan(0);
  expect(is.givenUpMs, "given up").toBeGreaterThan(14_000);
  expect(is.givenUpMs, "given up").toBeLessThan(16_500);
  expect(is.oldMs, "old copies").toBeLessThan(10_000);
}

/** Faults last a while: this is how long, not a wait for something. */
export const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
