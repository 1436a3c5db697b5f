// A run of one fault, written down as it happens: what a client asked and was told, what a witness saw of the programs
// themselves, how requests through the proxy fared, and in the end the log. `checker.mjs` makes all figures of it.
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { jetstream } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "nats";
import type { NatsConnection } from "nats";
import type { WorkloadObject } from "../../schemas/generated/types.ts";
import type { Cluster } from "../support/cluster.ts";
import { until } from "../support/cluster.ts";
import { get } from "../support/http.ts";
import { figures } from "./checker.mjs";
import type { Plan } from "./plan.ts";

/** How often the witness looks at the machine's processes, in milliseconds: shorter than any program of the tests lives. */
const lookMs = 150;
const answersMs = 200;
/** A request that nobody answers is asked again with its operation id after this; the leader may have died. */
const askMs = 3000;
/** So long a change is asked for again; longer than any fault of the suite. */
const patienceMs = 120_000;
/** So long nothing may move before a run counts as over. */
const restMs = 3000;

const api = "swain.default.api";

export interface RunOptions {
  readonly cluster: Cluster;
  readonly fault: string;
  readonly promise: string;
  /** What is chance in this run. */
  readonly plan: Plan;
  readonly skewMs: number;
  readonly runtime: string;
  readonly server: string;
  /** The port at which the proxy offers the workload. */
  readonly port: number;
  /** The workload whose replicas are changed meanwhile, and a value of its pods' variable FAULT_RUN. */
  readonly workload: string;
  readonly mark: string;
  /** A workload with `fence: true`. */
  readonly fenced?: string;
  /** The manifest of the workload with another template: its pods have `release` in their variable FAULT_RELEASE. */
  readonly deploy: (release: string, replicas: number) => object;
}

interface Life {
  readonly pid: number;
  readonly pod: string;
  readonly workload: string;
  readonly node: string;
  readonly release: string;
}

export type Figures = ReturnType<typeof figures>;

/** The topmost processes that have the mark in their environment: the programs of pods, in containers or not. */
export function programs(mark: string): Life[] {
  const found = new Map<number, Life & { readonly parent: number }>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const env = readFileSync(`/proc/${name}/environ`, "utf8");
      if (!env.includes(`FAULT_RUN=${mark}`)) continue;
      const values = new Map(env.split("\0").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]));
      const [state = "", parent = ""] = readFileSync(`/proc/${name}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      if (state === "Z") continue;
      const value = (key: string): string => values.get(key) ?? "";
      found.set(Number(name), {
        pid: Number(name),
        parent: Number(parent),
        pod: value("SWAIN_POD"),
        workload: value("SWAIN_WORKLOAD"),
        node: value("SWAIN_NODE"),
        release: value("FAULT_RELEASE"),
      });
    } catch {
      // Gone meanwhile.
    }
  }
  return [...found.values()].filter(({ parent }) => !found.has(parent)).map(({ parent: _parent, ...life }) => life);
}

export class Recording {
  readonly plan: Plan;
  private readonly lines: object[] = [];
  private readonly startedAt = Date.now();
  private readonly began = performance.now();
  private readonly options: RunOptions;
  private readonly bus: NatsConnection;
  private readonly lives = new Map<number, Life>();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly work: Promise<void>[] = [];
  private readonly tally = { ok: 0, failed: 0 };
  private firstSequence = 0;
  private isChanging = false;
  private isLoading = true;
  private wanted = 0;
  /** Of the last deploy. */
  private release: string | undefined;
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(options: RunOptions, bus: NatsConnection) {
    this.options = options;
    this.plan = options.plan;
    this.bus = bus;
  }

  /** Begins to write down: who runs now, and all that is asked from now on. */
  static async start(options: RunOptions): Promise<Recording> {
    const key = readFileSync(options.cluster.creds("operator"), "utf8").trim();
    const bus = await connect({
      servers: options.cluster.server,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(key)),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
      name: "fault-client",
    });
    const run = new Recording(options, bus);
    const { status, spec } = await run.look();
    run.wanted = spec.replicas ?? 1;
    if (status.ready !== run.wanted) throw new Error(`${status.ready} of ${run.wanted} are ready before the fault`);
    run.firstSequence = (await run.lastSequence()) + 1;
    const { fault, promise, plan, skewMs, runtime, server, workload, fenced } = options;
    run.say({
      kind: "run",
      startedAt: run.startedAt,
      fault,
      promise,
      seed: plan.seed,
      skewMs,
      runtime,
      server,
      workload,
      fenced,
      replicas: run.wanted,
    });
    run.witness();
    run.timers.push(
      setInterval(() => run.witness(), lookMs),
      setInterval(() => run.tell(), answersMs),
    );
    run.work.push(run.load("one"), run.load("other"));
    return run;
  }

  private say(line: object): void {
    this.lines.push({ at: Math.round(performance.now() - this.began), ...line });
  }

  /** Lets changes be made for a while before the fault, and begins a deploy, so that the fault meets a rollout. */
  async onset(): Promise<void> {
    await pause(this.plan.onsetMs);
    if (this.isChanging) await this.deploy();
  }

  /** Chooses whom the fault hits. */
  victims(names: readonly string[], count: number): string[] {
    const chosen = this.plan.victims(names, count);
    this.say({ kind: "victims", names: chosen });
    return chosen;
  }

  victim(names: readonly string[]): string {
    return this.victims(names, 1)[0] ?? "";
  }

  /** What goes wrong from now on, and the programs it hits. */
  fault(pids: readonly number[] = []): void {
    this.say({ kind: "fault" });
    for (const pid of pids) this.hit(pid);
  }

  /** One more program that it hits. */
  hit(pid: number): void {
    this.say({ kind: "hit", pid });
  }

  /** All is as it should be again, as far as the one who broke it is concerned. */
  mended(): void {
    this.say({ kind: "mended" });
  }

  /** The log is another from now on, whole. */
  logBeginsAnew(): void {
    this.firstSequence = 1;
  }

  private witness(): void {
    const now = new Map(programs(this.options.mark).map((life) => [life.pid, life]));
    for (const life of now.values()) if (!this.lives.has(life.pid)) this.say({ kind: "started", ...life });
    for (const pid of this.lives.keys()) if (!now.has(pid)) this.say({ kind: "ended", pid });
    this.lives.clear();
    for (const life of now.values()) this.lives.set(life.pid, life);
  }

  private tell(): void {
    this.say({ kind: "answers", ...this.tally });
    this.tally.ok = 0;
    this.tally.failed = 0;
  }

  private async load(client: string): Promise<void> {
    for (const pauseMs of this.plan.requestPauses(client)) {
      if (!this.isLoading) return;
      try {
        await get(this.options.port, 2000);
        this.tally.ok += 1;
      } catch {
        this.tally.failed += 1;
      }
      await pause(pauseMs);
    }
  }

  /** Asks for another number of replicas. */
  private scale(replicas: number): Promise<void> {
    return this.inTurn(async () => {
      if (replicas === this.wanted) return;
      const operation = randomUUID();
      this.say({ kind: "asked", operation, replicas });
      this.wanted = replicas;
      await this.ask("default.workload.scale", operation, { name: this.options.workload, replicas });
    });
  }

  /** Asks for another template, which has all pods replaced one by one. */
  private deploy(): Promise<void> {
    return this.inTurn(async () => {
      const operation = randomUUID();
      const replicas = this.wanted;
      const release = operation.slice(0, 8);
      this.say({ kind: "asked", operation, replicas, release });
      this.release = release;
      await this.ask("_.manifest.apply", operation, { documents: [this.options.deploy(release, replicas)] });
    });
  }

  /** One change after the other: of two that are under way at once nobody knows which is the last. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => {});
    return done;
  }

  /** Asks again with the same operation id until it is told that it is done. */
  private async ask(what: string, operation: string, request: object): Promise<void> {
    const body = JSON.stringify({ operation, ...request });
    const end = performance.now() + patienceMs;
    for (;;) {
      try {
        const answer = (await this.bus.request(`${api}.${what}`, body, { timeout: askMs })).json<{
          sequence?: number;
          error?: { code: string; message: string };
        }>();
        if (answer.error === undefined) {
          this.say({ kind: "acknowledged", operation, sequence: answer.sequence });
          return;
        }
        this.say({ kind: "refused", operation, code: answer.error.code });
      } catch {
        // Nobody answered: it may be done or not.
      }
      if (performance.now() > end) throw new Error(`no answer to ${operation} within ${patienceMs} ms`);
      await pause(200);
    }
  }

  /** Changes the number of replicas or the template all the time until the run ends. */
  keepChanging(counts: readonly number[], everyMs = 700): void {
    this.isChanging = true;
    const loop = async (): Promise<void> => {
      for (const { replicas, isDeploy, pauseMs } of this.plan.changes(counts, everyMs)) {
        if (!this.isChanging) return;
        await (isDeploy ? this.deploy() : this.scale(replicas));
        await pause(pauseMs);
      }
    };
    this.work.push(loop());
  }

  private async look(): Promise<WorkloadObject> {
    const body = JSON.stringify({ name: this.options.workload });
    const answer = await this.bus.request(`${api}.default.workload.get`, body, { timeout: askMs });
    const [item] = answer.json<{ items: WorkloadObject[] }>().items;
    if (item === undefined) throw new Error(`no workload ${this.options.workload}`);
    return item;
  }

  private async lastSequence(): Promise<number> {
    const stream = await jetstream(this.bus).streams.get("SWAIN_default_EVENTS");
    return (await stream.info()).state.last_seq;
  }

  private async writeLog(): Promise<void> {
    const last = await this.lastSequence();
    if (last < this.firstSequence) return;
    const options = { opt_start_seq: this.firstSequence, deliver_policy: "by_start_sequence" as const };
    const consumer = await jetstream(this.bus).consumers.get("SWAIN_default_EVENTS", options);
    const messages = await consumer.consume();
    for await (const message of messages) {
      this.say({ kind: "record", seq: message.seq, ...eventOf(message.string()) });
      if (message.seq >= last) break;
    }
  }

  /** Waits until as many programs run as are wanted and nothing moves, then ends the run; its figures. */
  async finish(withinMs = 60_000): Promise<Figures> {
    this.isChanging = false;
    const { workload, fault } = this.options;
    let restingSince = performance.now();
    let before = "";
    try {
      await until(
        `${fault}: all is settled`,
        async () => {
          const { status } = await this.look();
          const own = [...this.lives.values()].filter((life) => life.workload === workload);
          const pids = own.map(({ pid }) => pid).toSorted((a, b) => a - b);
          const now = `${status.ready} ${pids.join(" ")}`;
          const isOld = own.some(({ release }) => this.release !== undefined && release !== this.release);
          if (now !== before || status.ready !== this.wanted || own.length !== this.wanted || isOld) {
            restingSince = performance.now();
          }
          before = now;
          return performance.now() - restingSince >= restMs;
        },
        withinMs,
      );
    } catch (error) {
      const { stdout, stderr } = await this.options.cluster.run("get", "pods");
      throw new Error(`${this.wanted} of release ${this.release} are wanted; there are\n${stdout}${stderr}`, {
        cause: error,
      });
    } finally {
      await this.close();
    }
    const { SWAIN_FAULTS_OUT: out } = process.env;
    if (out !== undefined) {
      mkdirSync(out, { recursive: true });
      const { runtime, server } = this.options;
      const name = `${fault} ${runtime} ${server}`.toLowerCase().replace(/[^a-z0-9.]+/g, "-");
      writeFileSync(join(out, `${name}.jsonl.gz`), gzipSync(this.text));
    }
    return figures(this.lines);
  }

  private get text(): string {
    return this.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  }

  private async close(): Promise<void> {
    this.isChanging = false;
    this.isLoading = false;
    // A pause between changes may last for seconds yet: untold meanwhile, what was answered before would look like silence.
    await Promise.allSettled(this.work);
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    this.tell();
    this.witness();
    await this.writeLog();
    await this.bus.close();
  }
}

/** What others put into the log need not be an event, nor JSON. */
function eventOf(text: string): { event?: unknown } {
  try {
    return { event: JSON.parse(text) as unknown };
  } catch {
    return {};
  }
}

/** Between two tries of the same thing. */
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
