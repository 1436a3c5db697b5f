// One process under the supervisor: started, started again with back-off when it dies, stopped for good.
import type { Backoff } from "../../services/kernel/backoff.ts";
import { delayMs } from "../../services/kernel/backoff.ts";
import { asSwainError } from "../../services/kernel/errors.ts";
import { inOrder } from "./launch.ts";
import type { Launched } from "./launch.ts";
import type { ChildKind, ChildMark } from "./layout.ts";
import { markOf } from "./processes.ts";

export interface ChildOptions {
  readonly name: string;
  readonly kind: ChildKind;
  readonly log: string;
  /** Starts it once; calls `onSpawn` as soon as there is a process, gives up when the signal aborts. */
  readonly launch: (onSpawn: (pid: number) => void, signal: AbortSignal) => Promise<Launched>;
  /** Gives up starting when it aborts. */
  readonly signal: AbortSignal;
  readonly restart: boolean;
  readonly say: (line: string) => void;
  /** The process is another one, or none. */
  readonly onChange: () => void;
}

/** A crash loop must not fill the log; a single crash must cost next to nothing. */
const backoff: Backoff = { firstMs: 250, maxMs: 30_000, factor: 2 };
/** After running this long, the next crash counts as the first. */
const stableMs = 60_000;

export class Child {
  readonly name: string;
  readonly log: string;
  private readonly options: ChildOptions;
  private running: Launched | undefined;
  private current: ChildMark | undefined;
  private readonly end = new AbortController();
  private readonly signal: AbortSignal;
  private starting: Promise<void> = Promise.resolve();
  private supervision: Promise<void> = Promise.resolve();

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.log = options.log;
    this.options = options;
    this.signal = AbortSignal.any([options.signal, this.end.signal]);
  }

  /** The process as it is now; undefined between two starts. */
  mark(): ChildMark | undefined {
    return this.current;
  }

  /** Starts it; rejects when it does not get ready. From then on it is supervised. */
  start(): Promise<void> {
    this.starting = this.begin();
    return this.starting;
  }

  /**
   * Ends it for good, also while it is starting; afterwards there is no process and none comes. Resolves with how it ended,
   * when that was not in order.
   */
  async stop(): Promise<string | null> {
    this.end.abort(new Error("stopped"));
    // Whoever called start() hears why it failed; here only matters that it is over.
    await this.starting.catch(() => {});
    const { running } = this;
    await running?.stop();
    await this.supervision;
    const how = (await running?.closed) ?? "it did not run";
    return how === inOrder ? null : how;
  }

  private async begin(): Promise<void> {
    const first = await this.launch();
    this.supervision = this.supervise(first);
  }

  private async launch(): Promise<Launched> {
    try {
      const launched = await this.options.launch((pid) => this.enter(pid), this.signal);
      this.running = launched;
      this.enter(launched.pid);
      return launched;
    } catch (error) {
      this.enter(undefined);
      throw error;
    }
  }

  private enter(pid: number | undefined): void {
    const mark = pid === undefined ? null : markOf(pid);
    if (mark?.pid === this.current?.pid && mark !== null) return;
    this.current = mark === null ? undefined : { name: this.name, kind: this.options.kind, ...mark };
    this.options.onChange();
  }

  private async supervise(first: Launched): Promise<void> {
    let launched: Launched | undefined = first;
    let crashes = 0;
    while (!this.end.signal.aborted) {
      const since = performance.now();
      let how = "did not start";
      if (launched !== undefined) {
        how = await launched.closed;
        this.running = undefined;
        this.enter(undefined);
        if (performance.now() - since > stableMs) crashes = 0;
      }
      // Told to give up, it cannot be started again, so trying would only spin until stop() is called.
      if (this.signal.aborted) return;
      if (!this.options.restart) return this.options.say(`${this.name} is gone: ${how}`);
      const wait = delayMs(backoff, crashes++);
      this.options.say(`${this.name} is gone: ${how}; starting it again in ${wait} ms (log: ${this.log})`);
      await this.pause(wait);
      launched = await this.relaunch();
    }
    // Stopped while it was being started.
    await launched?.stop();
  }

  private async relaunch(): Promise<Launched | undefined> {
    if (this.signal.aborted) return undefined;
    try {
      return await this.launch();
    } catch (error) {
      if (!this.signal.aborted) this.options.say(asSwainError(error).message);
      return undefined;
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        this.signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.signal.addEventListener("abort", done, { once: true });
    });
  }
}
