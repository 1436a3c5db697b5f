// Processes that run worlds, one after the other and one process per core: a process that has warmed up runs a world in less
// than half of the time that a fresh one needs.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";
import type { Outcome, Plan } from "./simulate.ts";

export interface Ran extends Outcome {
  /** Of the world itself. */
  readonly cpuSeconds: number;
  /** Where it failed and there was time to look: with fewer faults, as many as were found to be enough. */
  readonly shrunk: Outcome | null;
}

/** What a process of the pool is asked for. */
interface Order {
  readonly plan: Plan;
  readonly shrinkMs: number;
}

/** Runs a world, and where it fails looks for so long for fewer faults with which it fails the same way. */
export async function ran(plan: Plan, shrinkMs: number): Promise<Ran> {
  const before = process.cpuUsage();
  const outcome = await simulate(plan);
  const { user, system } = process.cpuUsage(before);
  const isShrunk = outcome.violations.length > 0 && shrinkMs > 0;
  // The lines were told as they came.
  const shrunk = isShrunk ? await shrink({ ...plan, onLine: undefined }, outcome, shrinkMs) : null;
  return { ...outcome, shrunk, cpuSeconds: (user + system) / 1e6 };
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
  process.on("message", ({ plan, shrinkMs }: Order) => {
    void ran(plan, shrinkMs).then((outcome) => {
      const trace = outcome.violations.length > 0 ? outcome.trace : [];
      process.send?.({ ...outcome, trace } satisfies Ran);
    });
  });
}

export class Pool {
  private readonly path: string;
  private readonly size: number;
  private readonly shrinkMs: number;
  private left: number;
  private isEnough = false;

  /** `most`: worlds there may be. */
  constructor(path: string, most: number, shrinkMs: number) {
    this.shrinkMs = shrinkMs;
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
        const outcome = await server.run({ plan, shrinkMs: this.shrinkMs });
        this.isEnough = onRan(plan.seed, outcome) || this.isEnough;
        worlds += 1;
        if (typeof outcome !== "string" && worlds % worldsPerProcess > 0) continue;
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
  run(order: Order): Promise<Ran | string> {
    const { child } = this;
    const { plan, shrinkMs } = order;
    return new Promise((resolve) => {
      const end = (outcome: Ran | string): void => {
        clearTimeout(timer);
        child.removeAllListeners("message");
        child.removeAllListeners("close");
        resolve(outcome);
      };
      const ms = Math.max(leastMs, (mostSecondsPerHour * 1000 * plan.minutes) / 60) + shrinkMs;
      const timer = setTimeout(() => end(`it still ran after ${ms / 1000} s`), ms);
      child.on("message", (outcome: Ran) => end(outcome));
      child.on("close", (code, signal) => end(`the process ended with ${signal ?? code}: ${this.errors}`));
      child.send(order);
    });
  }

  end(): void {
    this.child.kill("SIGKILL");
  }
}
