// `swain demo`: the tour of the README as a program. It uses the same supervisor and the same commands as everybody; what
// it shows is what it observed, and it fails when that is not what was promised.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../services/bus/embedded/run.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { asSwainError, SwainError } from "../../services/kernel/errors.ts";
import type { Call } from "../command.ts";
import { errorText } from "../output/error.ts";
import { chooseDemoRuntime } from "./demo-runtime.ts";
import { answersOf, ask, untilAnsweredBy } from "./demo-requests.ts";
import { killReplica, whatIsLeft } from "./demo-replicas.ts";
import { Feed, openBus } from "./demo-feed.ts";
import { examplesFolder, programPath } from "./launch.ts";
import { lastLines } from "./log-files.ts";
import type { Chosen, RuntimeChoice } from "./runtime.ts";
import { freeLoopbackPort, isFree } from "./server.ts";
import type { LocalUp } from "./supervisor.ts";
import { startLocal } from "./supervisor.ts";

const host = "127.0.0.1";
const cluster = "demo";
const usualPort = 8080;
const nodes = 3;
const requests = 30;
/** The longest that one command of the demo may take. */
const commandMs = 60_000;

/** Runs the whole demo; returns 0, or 1 when a promise was not kept. Leaves nothing behind either way. */
export async function runDemo(call: Call): Promise<number> {
  call.terminal.dropUnwritable();
  const began = performance.now();
  const say = (line: string): void =>
    call.terminal.out(`[${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s] ${line}\n`);
  const folder = await mkdtemp(join(tmpdir(), "swain-demo-"));
  const demo = new Demo(call, folder, say);
  let code = 0;
  try {
    await demo.play();
  } catch (error) {
    code = call.signal.aborted ? 130 : 1;
    if (call.signal.aborted) say(`interrupted; stopping what runs from ${folder}`);
    else await demo.explain(asSwainError(error));
  }
  try {
    await demo.end();
  } catch (error) {
    code ||= 1;
    call.terminal.err(errorText(asSwainError(error)));
  } finally {
    // A process that was killed may have made a file while the folder was being emptied; then it is emptied again.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
  say(code === 0 ? "all of it was seen to work; nothing was left running" : "the demo did not succeed");
  return code;
}

class Demo {
  private readonly call: Call;
  private readonly folder: string;
  private readonly say: (line: string) => void;
  private up: LocalUp | undefined;
  private bus: Bus | undefined;
  private feed: Feed | undefined;
  private chosen: Chosen | undefined;
  private uid = "";
  private deployed = false;
  private port = usualPort;

  constructor(call: Call, folder: string, say: (line: string) => void) {
    this.call = call;
    this.folder = folder;
    this.say = say;
  }

  async play(): Promise<void> {
    await this.startCluster();
    await this.deploy();
    await this.spread();
    await this.selfHeal();
    await this.scale();
    this.showFeed();
  }

  /** Why it failed, with the ends of the logs. */
  async explain(error: SwainError): Promise<void> {
    this.call.terminal.err(errorText(error));
    this.showFeed();
    const { up } = this;
    if (up === undefined) return;
    for (const { name } of up.record().children) {
      const lines = await lastLines(join(up.paths.log, `${name}.log`), 10);
      this.call.terminal.err(`--- ${name}\n${lines.join("\n")}\n`);
    }
  }

  /** Stops all of it. Throws when something is left. */
  async end(): Promise<void> {
    const { up, chosen } = this;
    this.feed?.stop();
    // A bus that does not close in order must not keep the processes from being stopped.
    await this.bus?.close().catch(() => {});
    if (up === undefined || chosen === undefined) return;
    const { children } = up.record();
    const pids = chosen.runtime === "process" && this.deployed ? await this.replicaPids() : [];
    await up.stop();
    const left = await whatIsLeft({ chosen, clusterUid: this.uid, children, pids });
    if (left.length > 0) throw new SwainError("DEMO_FAILED", `left running: ${left.join(", ")}`);
    this.say(`stopped ${children.length} processes and all replicas; checked that none is left`);
  }

  private async startCluster(): Promise<void> {
    const { call, say } = this;
    this.chosen = await chooseDemoRuntime((call.option("runtime") ?? "auto") as RuntimeChoice, call.signal);
    say(`runtime ${this.chosen.runtime}: ${this.chosen.reason}`);
    this.up = await startLocal({
      data: this.folder,
      cluster,
      natsServer: call.option("nats-server"),
      // A port of its own, so that a cluster or server of the user's is not disturbed.
      port: await freeLoopbackPort(),
      controllers: 1,
      nodes,
      chosen: this.chosen,
      // The engine that has the image, whatever an agent might find by itself.
      engine: this.chosen.engine === "" ? undefined : this.chosen.engine,
      keepPods: false,
      restart: true,
      proxyHost: host,
      env: { ...call.env },
      say,
      signal: call.signal,
    });
    say(
      `started ${this.up
        .record()
        .children.map((child) => child.name)
        .join(", ")}`,
    );
    this.bus = await openBus(this.folder, call.signal);
    this.feed = new Feed(this.bus, cluster);
    this.uid = await this.feed.clusterUid();
  }

  private async deploy(): Promise<void> {
    const manifest = await this.manifest();
    // From here on it is our replicas that may answer at the port.
    this.deployed = true;
    await this.swain(["apply", "-f", manifest, "--wait"]);
    this.say(`applied ${manifest}: 3 replicas are ready, the service listens on ${host}:${this.port}`);
  }

  private async spread(): Promise<void> {
    // Ready pods reach the proxy a moment after the command has seen them.
    await this.seen(3);
    const { counts, failed } = await answersOf(this.port, requests, this.call.signal);
    const text = [...counts].map(([pod, count]) => `${pod} ${count}`).toSorted();
    this.say(`${requests} requests through the proxy: ${text.join(", ")}${failed > 0 ? `, failed ${failed}` : ""}`);
    if (counts.size !== 3 || failed > 0)
      throw new SwainError("DEMO_FAILED", "not every replica answered every request");
  }

  private async selfHeal(): Promise<void> {
    const { call } = this;
    const { pod: victim, pid } = await ask(this.port, call.signal);
    if (this.chosen === undefined) throw new SwainError("INTERNAL", "the demo has no runtime yet");
    await killReplica({ chosen: this.chosen, clusterUid: this.uid, pod: victim, pid });
    const killed = performance.now();
    this.say(`killed ${victim}${pid === undefined ? " (killed on the engine)" : ` (kill -9 ${pid})`}`);
    const { answered, failed } = await untilAnsweredBy(
      this.port,
      (answer) => answer.pod === victim && (pid === undefined || answer.pid !== pid),
      call.signal,
    );
    const took = ((performance.now() - killed) / 1000).toFixed(2);
    this.say(`${victim} serves again after ${took} s; meanwhile ${answered} requests answered, ${failed} failed`);
    if (failed > 0) throw new SwainError("DEMO_FAILED", `${failed} requests failed while one replica was gone`);
  }

  private async scale(): Promise<void> {
    const began = performance.now();
    await this.swain(["scale", "workload/hello", "--replicas", "5"]);
    const pods = await this.seen(5);
    const took = ((performance.now() - began) / 1000).toFixed(1);
    this.say(`scaled to 5: all of ${pods.join(", ")} serve after ${took} s`);
  }

  /** Waits until that many different replicas have answered; their names. */
  private async seen(count: number): Promise<string[]> {
    const pods = new Set<string>();
    await untilAnsweredBy(this.port, (answer) => pods.add(answer.pod).size === count, this.call.signal);
    return [...pods].toSorted();
  }

  private showFeed(): void {
    if (this.feed === undefined) return;
    const { lines, total } = this.feed.latest();
    this.say(`the feed told ${total} things meanwhile (nats sub '${subjectsOf(cluster).feedAll}'); the latest:`);
    for (const line of lines) this.call.terminal.out(`            ${line}\n`);
  }

  /** The example as it is, or a copy with another service port when somebody listens on the usual one. */
  private async manifest(): Promise<string> {
    const folder = join(examplesFolder, "hello");
    if (await isFree(usualPort)) return join(folder, "hello.yaml");
    this.port = await freeLoopbackPort();
    const copy = join(this.folder, "hello");
    await cp(folder, copy, { recursive: true });
    const path = join(copy, "hello.yaml");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace(`- port: ${usualPort}`, `- port: ${this.port}`));
    this.say(`port ${usualPort} is taken, so the service gets ${this.port}`);
    return path;
  }

  private async replicaPids(): Promise<number[]> {
    const pids = new Set<number>();
    // Round-robin shows every replica within a few rounds.
    for (let i = 0; i < requests; i++) {
      const answer = await ask(this.port, AbortSignal.timeout(2000)).catch(() => undefined);
      if (answer?.pid === undefined) break;
      pids.add(answer.pid);
    }
    return [...pids];
  }

  /** A command of the CLI, as a user would call it. */
  private async swain(args: readonly string[]): Promise<void> {
    const command = [...process.execArgv, programPath, ...args, "--data", this.folder];
    const { signal, env } = this.call;
    const result = await run(process.execPath, command, { timeoutMs: commandMs, signal, env: { ...env } });
    if (result.code === 0) return;
    signal.throwIfAborted();
    const output = (result.trouble === undefined ? "" : `${result.trouble}\n`) + result.output;
    throw new SwainError("DEMO_FAILED", `swain ${args.join(" ")} failed:\n${output.trimEnd()}`);
  }
}
