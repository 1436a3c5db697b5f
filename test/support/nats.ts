// Real nats-server processes for tests: found on this machine, started on a free loopback port with a folder of their own,
// and gone at the end also when a test failed.
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { nkeys } from "nats";
import { describe, expect, it } from "vitest";
import { featuresOf } from "../../services/bus/features.ts";
import { freePort } from "./ports.ts";

export interface ServerBinary {
  readonly path: string;
  readonly version: string;
}

interface ServerUser {
  /** Public nkey, `U…`. */
  readonly nkey: string;
  /** Subjects the user may publish and subscribe to; without them all. */
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

export interface ServerOptions {
  readonly users?: readonly ServerUser[];
  /** False for a server without JetStream. */
  readonly jetstream?: boolean;
  /** The most JetStream may store, such as "1GB". */
  readonly maxFileStore?: string;
  /** True: what JetStream acknowledges is on the disk (2.10 or newer). */
  readonly syncAlways?: boolean;
  /** More lines of configuration. */
  readonly config?: string;
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  /** The folder JetStream writes to. */
  readonly folder: string;
  readonly version: string;
  pid(): number;
  /** Ends it in order and keeps its data. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would, and keeps its data. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** Stops it from running without ending it; resolves when all its threads stand still. `thaw` lets it go on. */
  freeze(): Promise<void>;
  thaw(): void;
  /** Removes its data; only while it is not running. */
  wipe(): void;
  /** Replaces the users and makes the running server read them. */
  setUsers(users: readonly ServerUser[]): void;
  /** Ends it and removes all it left. */
  dispose(): Promise<void>;
}

const startMs = 15_000;
const keptLines = 100;

/** What must be ended when this process ends in whatever way. */
const leftovers = new Set<() => void>();
process.once("exit", () => {
  for (const end of leftovers) end();
});

/** The oldest supported server and a current one, as far as they are on this machine. */
export function findServers(): { old: ServerBinary | undefined; current: ServerBinary | undefined } {
  const found = candidates()
    .map(inspect)
    .filter((binary) => binary !== undefined);
  const named = (variable: string): ServerBinary | undefined => {
    const path = process.env[variable];
    return path === undefined ? undefined : inspect(path);
  };
  return {
    old: named("SWAIN_TEST_NATS_OLD") ?? found.find(({ version }) => !featuresOf(version).production),
    current: named("SWAIN_TEST_NATS_NEW") ?? found.find(({ version }) => featuresOf(version).production),
  };
}

/** The best server on this machine for tests that need only one. Throws when there is none. */
export function anyServer(): ServerBinary {
  const { old, current } = findServers();
  const binary = current ?? old;
  if (binary === undefined) throw new Error("no nats-server found: set SWAIN_TEST_NATS_NEW or put one into PATH");
  return binary;
}

/** Runs a suite on the old and on the current server. A missing one is a skip with its reason, in CI a failure. */
export function describeServers(title: string, suite: (binary: ServerBinary) => void): void {
  describeServer("old", title, suite);
  describeServer("current", title, suite);
}

/** The same on one of them. */
export function describeServer(age: "old" | "current", title: string, suite: (binary: ServerBinary) => void): void {
  const binary = findServers()[age];
  const variable = age === "old" ? "SWAIN_TEST_NATS_OLD" : "SWAIN_TEST_NATS_NEW";
  if (binary !== undefined) {
    describe(`${title} on nats-server ${binary.version}`, () => suite(binary));
  } else if (process.env["CI"] === undefined) {
    describe.skip(`${title} on the ${age} server: none found, set ${variable}`, () => it("is skipped", () => {}));
  } else {
    it(`${title} on the ${age} server`, () => expect.fail(`none found: set ${variable}`));
  }
}

/** A new user key pair. */
export function newUser(): { nkey: string; seed: string } {
  const pair = nkeys.createUser();
  return { nkey: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) };
}

/** Starts a server; `dispose` it in the end. */
export async function startServer(binary: ServerBinary, options: ServerOptions = {}): Promise<TestServer> {
  const home = mkdtempSync(join(tmpdir(), "swain-nats-"));
  const port = await freePort();
  const server = new Server(binary, options, home, port);
  try {
    await server.start();
  } catch (error) {
    await server.dispose();
    throw error;
  }
  return server;
}

function candidates(): string[] {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const named = process.env["SWAIN_NATS_SERVER"];
  const paths = [...(named === undefined ? [] : [named]), ...folders.map((folder) => join(folder, "nats-server"))];
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "swain");
  if (existsSync(cache)) {
    const names = readdirSync(cache, { recursive: true, encoding: "utf8" });
    paths.push(...names.filter((name) => /nats-server[^/]*$/.test(name)).map((name) => join(cache, name)));
  }
  return [...new Set(paths)].filter((path) => existsSync(path));
}

/** A file that does not run or does not say a version is none. */
function inspect(path: string): ServerBinary | undefined {
  try {
    const version = /v(\d+\.\d+\.\d+\S*)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1];
    return version === undefined ? undefined : { path, version };
  } catch {
    return undefined;
  }
}

/** Ends the server when this process ends without being able to: its end closes the guard's input. */
function guardOf(pid: number, home: string): ChildProcess {
  const script = 'cat >/dev/null; kill -9 "$1"; rm -rf "$2"';
  // In a group of its own, so that Ctrl-C at the terminal does not end it before its work.
  const guard = spawn("sh", ["-c", script, "sh", String(pid), home], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.unref();
  return guard;
}

class Server implements TestServer {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly version: string;
  private readonly binary: ServerBinary;
  private readonly options: ServerOptions;
  private readonly home: string;
  private readonly lines: string[] = [];
  private child: ChildProcess | undefined;
  private guard: ChildProcess | undefined;
  private readonly end = (): void => {
    this.guard?.kill("SIGKILL");
    this.child?.kill("SIGKILL");
    rmSync(this.home, { recursive: true, force: true });
  };

  constructor(binary: ServerBinary, options: ServerOptions, home: string, port: number) {
    this.binary = binary;
    this.version = binary.version;
    this.options = options;
    this.home = home;
    this.folder = join(home, "data");
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    leftovers.add(this.end);
    this.configure(options.users);
  }

  pid(): number {
    const pid = this.child?.pid;
    if (pid === undefined) throw new Error("the test's nats-server is not running");
    return pid;
  }

  async start(): Promise<void> {
    const child = spawn(this.binary.path, ["-c", this.configPath()], { stdio: ["ignore", "ignore", "pipe"] });
    this.child = child;
    this.guard = guardOf(this.pid(), this.home);
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`nats-server ${why}:\n${this.lines.join("\n")}`));
      const timer = setTimeout(() => fail("did not get ready"), startMs);
      child.once("error", (error) => fail(error.message));
      child.once("exit", (code) => fail(`ended with ${code}`));
      let rest = "";
      child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        this.lines.push(...lines);
        this.lines.splice(0, this.lines.length - keptLines);
        if (!lines.some((line) => line.includes("Server is ready"))) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }

  stop(): Promise<void> {
    return this.finish("SIGTERM");
  }

  kill(): Promise<void> {
    return this.finish("SIGKILL");
  }

  async freeze(): Promise<void> {
    const pid = this.pid();
    process.kill(pid, "SIGSTOP");
    const tasks = `/proc/${pid}/task`;
    // The state is the first sign behind the name in parentheses; where there is no /proc, the signal is trusted.
    const runs = (task: string): boolean => !/\) [Tt] /.test(readFileSync(join(tasks, task, "stat"), "utf8"));
    const end = performance.now() + startMs;
    while (existsSync(tasks) && readdirSync(tasks).some(runs)) {
      if (performance.now() > end) throw new Error("the test's nats-server did not stop");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  thaw(): void {
    process.kill(this.pid(), "SIGCONT");
  }

  wipe(): void {
    if (this.child !== undefined) throw new Error("stop the server first");
    rmSync(this.folder, { recursive: true, force: true });
  }

  setUsers(users: readonly ServerUser[]): void {
    this.configure(users);
    process.kill(this.pid(), "SIGHUP");
  }

  async dispose(): Promise<void> {
    await this.finish("SIGKILL");
    this.end();
    leftovers.delete(this.end);
  }

  private async finish(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.child;
    this.child = undefined;
    this.guard?.kill("SIGKILL");
    this.guard = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  private configPath(): string {
    return join(this.home, "server.conf");
  }

  private jetStreamLine(): string {
    const most = this.options.maxFileStore === undefined ? "" : `, max_file_store: ${this.options.maxFileStore}`;
    const sync = this.options.syncAlways === true ? ", sync_interval: always" : "";
    return `jetstream { store_dir: ${JSON.stringify(this.folder)}${most}${sync} }`;
  }

  private configure(users: readonly ServerUser[] | undefined): void {
    const lines = [
      "host: 127.0.0.1",
      `port: ${this.port}`,
      this.options.jetstream === false ? "" : this.jetStreamLine(),
      this.options.config ?? "",
    ];
    if (users !== undefined) lines.push("authorization {", "  users: [", ...users.map(userLine), "  ]", "}");
    writeFileSync(this.configPath(), `${lines.join("\n")}\n`, { mode: 0o600 });
  }
}

function userLine(user: ServerUser): string {
  const list = (subjects: readonly string[]): string => JSON.stringify(subjects);
  const parts = [`nkey: ${user.nkey}`];
  const rights = [
    ...(user.publish === undefined ? [] : [`publish: ${list(user.publish)}`]),
    ...(user.subscribe === undefined ? [] : [`subscribe: ${list(user.subscribe)}`]),
  ];
  if (rights.length > 0) parts.push(`permissions: { ${rights.join(", ")} }`);
  return `    { ${parts.join(", ")} }`;
}
