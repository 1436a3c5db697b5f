// Agents and proxies started by hand, as on another machine, and their end.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { root, until } from "./cluster.ts";

const main = join(root, "dist/cli/main.js");

export class StartedPart {
  readonly process: ChildProcess;
  output = "";

  private constructor(file: string, args: readonly string[]) {
    // What a shell of the developer's names must not lead a part to another cluster.
    const { SWAIN_SERVER: _server, SWAIN_DATA: _data, ...env } = process.env;
    this.process = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  /** Starts `swain …` and resolves when it says that it is ready; `within` is a command that runs it, such as one of a namespace. */
  static async start(args: readonly string[], within: readonly string[] = []): Promise<StartedPart> {
    const [file = "", ...rest] = [...within, process.execPath, main, ...args];
    const part = new StartedPart(file, rest);
    try {
      await until(`swain ${args[0]} is ready`, async () => {
        if (part.isOver) throw new Error(`it ended: ${part.output}`);
        return part.output.includes("swain-ready");
      });
      return part;
    } catch (error) {
      await part.stop();
      throw new Error(part.output, { cause: error });
    }
  }

  get isOver(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.isOver) return;
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    const force = setTimeout(() => this.process.kill("SIGKILL"), 20_000);
    await gone;
    clearTimeout(force);
  }
}
