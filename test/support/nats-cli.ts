// The plain `nats` CLI, run as a user of a test's cluster would run it.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

/** Where the program is: SWAIN_TEST_NATS_CLI, or PATH. */
function findNatsCli(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const named = process.env["SWAIN_TEST_NATS_CLI"];
  const paths = [...(named === undefined ? [] : [named]), ...folders.map((folder) => join(folder, "nats"))];
  return paths.find((path) => existsSync(path));
}

/** True when this machine has the program. */
const has = (program: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};

/** Runs a suite with the `nats` CLI and other programs it needs. A missing one is a skip with its reason, in CI a failure. */
export function describeNatsCli(title: string, needs: readonly string[], suite: (path: string) => void): void {
  const path = findNatsCli();
  const missing = [...(path === undefined ? ["nats"] : []), ...needs.filter((program) => !has(program))];
  if (path !== undefined && missing.length === 0) describe(title, () => suite(path));
  else if (process.env["CI"] === undefined) {
    describe.skip(`${title}: ${missing.join(", ")} not found`, () => it("is skipped", () => {}));
  } else it(title, () => expect.fail(`not found: ${missing.join(", ")}; SWAIN_TEST_NATS_CLI names the nats CLI`));
}

/** The environment in which the CLI finds the contexts that `swain nats-context --save` wrote below `config`. */
export function natsEnv(path: string, config: string): NodeJS.ProcessEnv {
  const { NATS_URL: _url, NATS_CONTEXT: _context, ...env } = process.env;
  return { ...env, XDG_CONFIG_HOME: config, PATH: `${dirname(path)}${delimiter}${env["PATH"] ?? ""}` };
}

/** Runs `nats` with these arguments to its end; what it printed on both outputs. Fails the test when it fails. */
export function nats(path: string, config: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: natsEnv(path, config), timeout: 30_000, killSignal: "SIGKILL" as const };
    const child = execFile(path, ["--context", "swain-default", ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`nats ${args.join(" ")}: ${error.message}\n${stdout}${stderr}`, { cause: error }));
    });
    child.stdin?.end();
  });
}

/** A program that runs until `stop`, and what it has printed so far. */
export class Watcher {
  private readonly child: ChildProcess;
  private printed = "";

  constructor(file: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    // A group of its own: a shell script's pipeline ends with it.
    this.child = spawn(file, args, { env, stdio: ["pipe", "pipe", "pipe"], detached: true });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.printed += chunk.toString()));
    }
  }

  get output(): string {
    return this.printed;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Types into it. */
  type(text: string): void {
    this.child.stdin?.write(text);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { pid } = this.child;
    if (!this.running || pid === undefined) return;
    const gone = new Promise((resolve) => this.child.once("close", resolve));
    process.kill(-pid, signal);
    await gone;
  }
}
