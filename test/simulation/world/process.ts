// One process of the world: started, paused, killed and started again, each run with a clock and a connection of its own.
// What a dead run still has under way ends in the middle, as it does when a real process is killed.
import type { Bus } from "../../../services/bus/port.ts";
import { asSwainError } from "../../../services/kernel/errors.ts";
import type { Ids, Random } from "../../../services/kernel/ids.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import type { SimBus } from "../bus/client.ts";
import type { Link } from "../bus/link.ts";
import type { SimServer } from "../bus/server.ts";
import type { Chance } from "../chance.ts";
import { ProcessClock } from "../time.ts";
import type { Timeline } from "../time.ts";
import { nextVersion } from "./next-version.ts";

/** What all processes of a world share. */
export interface Surroundings {
  readonly timeline: Timeline;
  readonly server: SimServer;
  readonly chance: Chance;
  readonly cluster: string;
  /** Of the bus, and copies of each stream. */
  readonly servers: 1 | 3;
  /** A logger for one process. */
  readonly logger: (process: string) => Logger;
}

/**
 * A process that ended by itself is started again after the least of these, and after twice the time, up to the most, when
 * it did not even live for the time before: one that is too old for the log is not worth reading it every two seconds.
 */
const restartMs = { least: 2000, most: 60_000 };

/** From a start to its end. */
export class Run {
  readonly clock: ProcessClock;
  readonly random: Random;
  readonly ids: Ids;
  /** On its clock. */
  readonly begun: number;
  private readonly buses: SimBus[] = [];
  private readonly surroundings: Surroundings;
  private readonly isNext: boolean;
  isAlive = true;

  constructor(surroundings: Surroundings, name: string, number: number, isNext: boolean) {
    this.surroundings = surroundings;
    this.isNext = isNext;
    this.clock = new ProcessClock(surroundings.timeline);
    this.begun = this.clock.mono();
    const chance = surroundings.chance.stream(`${name} ${number}`);
    this.random = chance.random;
    this.ids = chance.ids;
  }

  /** A connection that comes back for ever. */
  async connect(name: string, link: Link, inboxPrefix?: string): Promise<Bus> {
    const { clock, random } = this;
    const prefix = inboxPrefix === undefined ? {} : { inboxPrefix };
    const bus = await this.surroundings.server.connect({ clock, random, name, link, ...prefix });
    if (this.isAlive) this.buses.push(bus);
    else bus.abandon();
    return this.isNext ? nextVersion(bus, random) : bus;
  }

  /** Resolves after the time, in this run alone: a paused process goes on later, a dead one never. */
  hop(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve);
    });
  }

  /** A call to something outside of the process: it is made when it arrives, and the answer is heard when it comes back. */
  async call<T>(thereMs: number, backMs: number, work: () => Promise<T>): Promise<T> {
    await this.hop(thereMs);
    try {
      return await work();
    } finally {
      await this.hop(backMs);
    }
  }

  end(): void {
    this.isAlive = false;
    this.clock.end();
    for (const bus of this.buses) bus.abandon();
  }
}

export abstract class Process {
  readonly name: string;
  protected readonly surroundings: Surroundings;
  protected run: Run | undefined;
  private runs = 0;
  private restartMs = restartMs.least;
  /** Its operator keeps it from being started. */
  isBarred = false;
  /** It was told to stop, and is not to be started meanwhile. */
  private isStopped = false;
  /** When it last ended by itself, and why. */
  lastEnd: { readonly at: number; readonly code: string } | undefined;
  /** It is of the next version from its next start on. */
  isNext = false;

  constructor(surroundings: Surroundings, name: string) {
    this.surroundings = surroundings;
    this.name = name;
  }

  /** Starts it, up to its end; what it rejects with ends the process. */
  protected abstract main(run: Run, log: Logger): Promise<void>;

  /** Ends what `main` began, in order, as the shipped process does when it is told to stop. */
  protected abstract quit(): Promise<void>;

  /** Running, and not paused. */
  get isUp(): boolean {
    return this.run?.clock.isRunning ?? false;
  }

  /** There, though maybe paused. */
  get exists(): boolean {
    return this.run !== undefined;
  }

  start(): void {
    if (this.run !== undefined || this.isBarred || this.isStopped) return;
    const run = new Run(this.surroundings, this.name, (this.runs += 1), this.isNext);
    this.run = run;
    const log = this.surroundings.logger(this.name);
    this.main(run, log).then(
      () => this.ended(run),
      (error: unknown) => {
        if (run.isAlive) {
          log.error("the process ends", { message: String(error) });
          this.lastEnd = { at: this.surroundings.timeline.now, code: asSwainError(error).code };
        }
        this.ended(run);
      },
    );
  }

  kill(): void {
    this.run?.end();
    this.run = undefined;
  }

  /** As SIGTERM. The returned function starts it again; what has not ended by then is killed, as systemd does. */
  stop(): () => void {
    const { run } = this;
    this.isStopped = true;
    const ended = (): void => {
      if (this.run === run) this.kill();
    };
    this.quit().then(ended, ended);
    return () => {
      this.isStopped = false;
      ended();
      this.start();
    };
  }

  /** The returned function has it go on, if it still lives. */
  pause(): () => void {
    const clock = this.run?.clock;
    clock?.pause();
    return () => clock?.resume();
  }

  /** Sets its machine's clock, which people read and nothing may depend on. */
  skew(ms: number): void {
    if (this.run !== undefined) this.run.clock.skewMs = ms;
  }

  private ended(run: Run): void {
    if (this.run !== run) return;
    const isLasting = run.clock.mono() - run.begun >= this.restartMs;
    this.restartMs = isLasting ? restartMs.least : Math.min(2 * this.restartMs, restartMs.most);
    this.kill();
    this.surroundings.timeline.after(this.restartMs, () => this.start());
  }
}
