// A whole cluster as a user starts it, `swain up`, with every part a process that a test may kill and start again.
// `dispose` ends all processes and removes all containers and files, also when the test failed.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { Client } from "../../cli/client.ts";
import type { LeaderBeat, NodeObject, PodObject, WorkloadObject } from "../../schemas/generated/types.ts";
import { connectBus } from "../../services/bus/connect.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import type { ServerBinary } from "./nats.ts";
import { freePort } from "./ports.ts";

export const root = join(import.meta.dirname, "../..");
const main = join(root, "dist/cli/main.js");

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the CLI to its end. */
export function swain(
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; cwd?: string } = {},
): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, ...args],
      {
        env: { ...process.env, ...options.env },
        cwd: options.cwd ?? root,
        maxBuffer: 64 * 1024 * 1024,
        timeout: 170_000,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
    // A command may end before it read all of it.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

/**
 * Waits until `probe` gives something other than undefined or false; fails with what was last seen. Most probes start the
 * CLI, which takes a tenth of a second of a core: asked too often, they hold up what they wait for.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  ms = 30_000,
  everyMs = 200,
): Promise<T> {
  const end = Date.now() + ms;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

interface Child {
  readonly name: string;
  readonly kind: string;
  readonly pid: number;
}

export interface UpOptions {
  readonly nodes?: number;
  readonly runtime: "docker" | "process" | "sim";
  readonly controllers?: number;
  /** Where its data folder is made. */
  readonly parent?: string;
  /** Is given that folder before any part runs. */
  readonly prepare?: (data: string) => void;
  /** Parts that die are started again; otherwise a test does that. */
  readonly restart?: boolean;
  /** Without it the one `swain up` finds. */
  readonly natsServer?: ServerBinary;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // A zombie answers too, but one of which threads are left, which holds its ports.
    const isZombie = /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    return !isZombie || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
};

export class Cluster {
  readonly data: string;
  private readonly supervisor: ChildProcess;
  private output = "";
  /** Parts started by hand, after theirs was killed. */
  private readonly revived: ChildProcess[] = [];
  private readonly commands = new Map<string, string[]>();

  private constructor(options: UpOptions, port: number) {
    this.data = mkdtempSync(join(options.parent ?? tmpdir(), "swain-e2e-"));
    options.prepare?.(this.data);
    const args = ["up", "--data", this.data, "--runtime", options.runtime, "--nodes", String(options.nodes ?? 3)];
    args.push("--controllers", String(options.controllers ?? 1), "--port", String(port));
    if (options.restart !== true) args.push("--no-restart");
    if (options.natsServer !== undefined) args.push("--nats-server", options.natsServer.path);
    this.supervisor = spawn(process.execPath, [main, ...args, ...(options.args ?? [])], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    for (const stream of [this.supervisor.stdout, this.supervisor.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  static async up(options: UpOptions): Promise<Cluster> {
    const cluster = new Cluster(options, await freePort());
    try {
      await until("swain up is ready", async () => cluster.record()["ready"] === true, 60_000);
      for (const child of cluster.children()) {
        const command = readFileSync(`/proc/${child.pid}/cmdline`, "utf8").split("\0").slice(0, -1);
        cluster.commands.set(child.name, command);
      }
      return cluster;
    } catch (error) {
      const text = cluster.output;
      await cluster.dispose();
      throw new Error(`swain up failed:\n${text}`, { cause: error });
    }
  }

  private record(): Record<string, unknown> {
    return JSON.parse(readFileSync(join(this.data, "run/up.json"), "utf8")) as Record<string, unknown>;
  }

  get server(): string {
    return String(this.record()["server"]);
  }

  get printed(): string {
    return this.output;
  }

  creds(role: string): string {
    return join(this.data, "creds", `${role}.nk`);
  }

  children(): Child[] {
    return this.record()["children"] as Child[];
  }

  pid(name: string): number {
    const child = this.children().find((each) => each.name === name);
    if (child === undefined) throw new Error(`no part is named ${name}`);
    return child.pid;
  }

  /** Ends a part at once and waits until it is gone. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const pid = this.pid(name);
    process.kill(pid, signal);
    await until(`${name} is gone`, async () => !alive(pid));
  }

  /**
   * Starts a killed part again with the command it had, each argument as `change` gives it; `within` is a command that runs
   * it, such as one of a namespace.
   */
  revive(
    name: string,
    change: (argument: string) => string = (argument) => argument,
    env: NodeJS.ProcessEnv = {},
    within: readonly string[] = [],
  ): ChildProcess {
    const [file = "", ...args] = [...within, ...(this.commands.get(name) ?? []).map(change)];
    const child = spawn(file, args, { stdio: "ignore", env: { ...process.env, ...env } });
    this.revived.push(child);
    return child;
  }

  run(...args: string[]): Promise<Result> {
    return swain([...args, "--data", this.data]);
  }

  /** Runs the CLI and fails the test when it does not exit 0. */
  async ok(...args: string[]): Promise<string> {
    const result = await this.run(...args);
    expect(result.code, `swain ${args.join(" ")}\n${result.stdout}${result.stderr}`).toBe(0);
    return result.stdout;
  }

  async apply(manifests: readonly object[], ...args: string[]): Promise<Result> {
    const input = manifests.map((manifest) => JSON.stringify(manifest)).join("\n---\n");
    return swain(["apply", "-f", "-", "--data", this.data, ...args], { input });
  }

  /** Asks as the CLI does, without its start: tests look again and again until something is so. */
  private async ask<T>(question: (client: Client) => Promise<unknown>): Promise<T> {
    const { cluster = "default" } = this.record() as { cluster?: string };
    const creds = this.creds("operator");
    const parts = { cluster, clock: systemClock, random: systemRandom, signal: AbortSignal.timeout(60_000) };
    const bus = await connectBus({
      ...parts,
      servers: this.server,
      name: "test",
      connectTimeoutMs: 5000,
      log: silent,
      ...(existsSync(creds) ? { creds } : {}),
    });
    try {
      return (await question(new Client({ ...parts, bus, ids: systemIds }))) as T;
    } finally {
      await bus.close();
    }
  }

  pods(): Promise<PodObject[]> {
    return this.ask((client) => client.list("_", "pod"));
  }

  nodes(): Promise<NodeObject[]> {
    return this.ask((client) => client.list("_", "node"));
  }

  workload(name: string): Promise<WorkloadObject> {
    return this.ask((client) => client.get("default", "workload", name));
  }

  /** The controller that leads, by its next beat. */
  leader(): Promise<string> {
    return this.ask(
      ({ bus, subjects }) =>
        new Promise((resolve) => {
          bus.subscribe(subjects.leader, (message) => resolve((message.json() as LeaderBeat).leader));
        }),
    );
  }

  /** The log of one part, for the message of a failed test. */
  log(name: string): string {
    try {
      return readFileSync(join(this.data, "log", `${name}.log`), "utf8");
    } catch {
      return "";
    }
  }

  /** Ends any process that still works on this cluster's folder, and says so: there should be none. */
  private endStragglers(): void {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        if (!command.includes(this.data) || Number(pid) === process.pid) continue;
        console.error(`left behind by swain up: ${pid} ${command.replaceAll("\0", " ")}\n${this.output.slice(-2000)}`);
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // Gone meanwhile.
      }
    }
  }

  async dispose(): Promise<void> {
    for (const child of this.revived.toReversed()) {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = new Promise((resolve) => child.once("exit", resolve));
        // The agent's command holds --stop-pods: ended in order, it takes its pods along.
        child.kill("SIGTERM");
        await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 20_000))]);
        child.kill("SIGKILL");
      }
    }
    // One that was ended by a signal has no exit code, and no event of its end would come any more.
    if (this.supervisor.exitCode === null && this.supervisor.signalCode === null) {
      const gone = new Promise((resolve) => this.supervisor.once("exit", resolve));
      this.supervisor.kill("SIGTERM");
      // An agent gets 60 s for its pods, after the controllers; killed before, the supervisor leaves agents and server behind.
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 80_000))]);
      this.supervisor.kill("SIGKILL");
    }
    // Whatever outlived its supervisor, if that was ended from outside.
    await swain(["down", "--data", this.data]);
    this.endStragglers();
    rmSync(this.data, { recursive: true, force: true, maxRetries: 5 });
  }
}
