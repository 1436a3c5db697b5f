// One part of Swain as a process of its own, started as an operator would, without `swain up`.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { root, until } from "./cluster.ts";

const started = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});

export class PartProcess {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";

  private constructor(args: readonly string[], env: NodeJS.ProcessEnv, output: number | "pipe" = "pipe") {
    this.child = spawn(process.execPath, [`${root}/dist/cli/main.js`, ...args], {
      stdio: ["ignore", output, output],
      env: { ...process.env, ...env },
    });
    started.add(this.child);
    this.child.stdout?.on("data", (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  /** Starts it and waits for nothing. `output` is a descriptor that takes what it says, instead of this object. */
  static launch(args: readonly string[], env: NodeJS.ProcessEnv = {}, output?: number): PartProcess {
    return new PartProcess(args, env, output);
  }

  /** Resolves when it says that it is ready. */
  static async start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<PartProcess> {
    const part = new PartProcess(args, env);
    try {
      await until(`${args.join(" ")} is ready`, async () => {
        if (part.child.exitCode !== null) throw new Error(`it ended: ${part.stderr}`);
        return part.stdout.includes("swain-ready");
      });
      return part;
    } catch (error) {
      await part.stop();
      throw error;
    }
  }

  /** Where it serves /health, /ready and /metrics. */
  get http(): string {
    const found = /http=(\S+)/.exec(this.stdout);
    if (found === null) throw new Error(`no --http address in ${this.stdout}`);
    return `http://${found[1]}`;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { child } = this;
    started.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }
}
