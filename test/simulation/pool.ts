// Processes that run worlds, one after the other and one process per core: a process that has warmed up runs a world in less
// than half of the time that a fresh one needs.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { simulate } from "./simulate.ts";
import type { Outcome, Plan } from "./simulate.ts";

export interface Ran extends Outcome {
  readonly cpuSeconds: number;
}

/** A virtual hour takes seconds; a world that takes longer than so many for each does not end. */
const mostSecondsPerHour = 300;
const leastMs = 600_000;
/** After so many worlds a process makes place for a fresh one, whatever it may have gathered. */
const worldsPerProcess = 100;
/** Of what a process that ended had to say. */
const shownCharacters = 2000;

/** In a process of the pool: runs what it is asked for, until nobody asks any more. */
export function serve(): void {
  process.on("message", (plan: Plan) => {
    const { user, system } = process.cpuUsage();
    void simulate(plan).then((outcome) => {
      const used = process.cpuUsage({ user, system });
      const trace = outcome.violations.length > 0 ? outcome.trace : [];
      process.send?.({ ...outcome, trace, cpuSeconds: (used.user + used.system) / 1e6 } satisfies Ran);
    });
  });
}

export class Pool {
  private readonly path: string;
  private readonly size: number;
  private left: number;
  private isEnough = false;

  /** `most`: worlds there may be. */
  constructor(path: string, most: number) {
    this.path = path;
    this.size = Math.min(most, availableParallelism());
    this.left = most;
  }

  /** Runs one plan after the other, and tells what became of each: why, where it did not end. Ends early at `true`. */
  async run(next: () => Plan, onRan: (seed: string, ran: Ran | string) => boolean): Promise<void> {
    const worker = async (): Promise<void> => {
      let server: Server | undefined;
      let worlds = 0;
      while (this.left > 0 && !this.isEnough) {
        this.left -= 1;
        server ??= new Server(this.path);
        const plan = next();
        const ran = await server.run(plan);
        this.isEnough = onRan(plan.seed, ran) || this.isEnough;
        worlds += 1;
        if (typeof ran !== "string" && worlds % worldsPerProcess > 0) continue;
        server.end();
        server = undefined;
      }
      server?.end();
    };
    await Promise.all(Array.from({ length: this.size }, worker));
  }
}

/** One process. */
class Server {
  private readonly child: ChildProcess;
  private errors = "";

  constructor(path: string) {
    this.child = fork(path, ["--serve"], { stdio: ["ignore", "inherit", "pipe", "ipc"], serialization: "advanced" });
    this.child.stderr?.on("data", (data: Buffer) => {
      this.errors = (this.errors + data.toString()).slice(-shownCharacters);
    });
  }

  /** What came of a world, or why nothing did. */
  run(plan: Plan): Promise<Ran | string> {
    const { child } = this;
    return new Promise((resolve) => {
      const end = (ran: Ran | string): void => {
        clearTimeout(timer);
        child.removeAllListeners("message");
        child.removeAllListeners("close");
        resolve(ran);
      };
      const ms = Math.max(leastMs, (mostSecondsPerHour * 1000 * plan.minutes) / 60);
      const timer = setTimeout(() => end(`it still ran after ${ms / 1000} s`), ms);
      child.on("message", (ran: Ran) => end(ran));
      child.on("close", (code, signal) => end(`the process ended with ${signal ?? code}: ${this.errors}`));
      child.send(plan);
    });
  }

  end(): void {
    this.child.kill("SIGKILL");
  }
}
