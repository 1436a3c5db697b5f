// The docker driver: containers of the engine of this node, Docker's or any that speaks its API. It makes, starts,
// ends and watches containers that carry this cluster's and this node's labels, and answers "not there" for all
// others. It decides nothing: restarts and back-off are the agent's. Called by the agent through the driver port.
import { uptime } from "node:os";
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { Code } from "../../../kernel/errors.ts";
import type { Logger } from "../../../kernel/log.ts";
import type { Sockets } from "../../../kernel/sockets.ts";
import { within } from "../../stop.ts";
import type {
  ContainerInfo,
  ContainerSpec,
  ContainerUsage,
  Driver,
  DriverEvents,
  DriverIdentity,
  ExecOptions,
  ExecRun,
  LogOptions,
  OnExecOutput,
} from "../driver.ts";
import type { OnOutput } from "../output.ts";
import { forEachLimited } from "../limited.ts";
import { ContainerCalls } from "./calls.ts";
import { createContainer } from "./create.ts";
import { Engine, engineName, statusOf } from "./engine.ts";
import type { EngineVersion } from "./engine.ts";
import { watchEvents } from "./events.ts";
import { runExec } from "./exec.ts";
import { isForChosenPort, lostAddress, missingFolder, startFailure } from "./failures.ts";
import { boundFolders, containerInfo, listedInfo, networkOwner } from "./inspect.ts";
import type { Inspected, Listed } from "./inspect.ts";
import { kernelEnded } from "./kernel-log.ts";
import { readLogs, readRun } from "./logs.ts";
import { FreshEnds, isKilledUnderLimit } from "./oom.ts";
import { Outages } from "./outages.ts";
import { locateEngine } from "./places.ts";
import { Pulls } from "./pull.ts";
import { RunTimes } from "./runs.ts";
import { programEndings, readsInFlight, timeouts } from "./timeouts.ts";
import { UsageReader } from "./usage.ts";

export interface DockerDriverOptions {
  /** Path of the engine's socket or its address; without it the one remembered, then the usual places. */
  readonly socket?: string;
  /** File that keeps the address found. */
  readonly memory?: string;
  /** Null until the agent knows its cluster; nothing is ours till then. */
  readonly identity: () => DriverIdentity | null;
  readonly clock: Clock;
  /** Looks at ports when a start was refused. */
  readonly sockets: Sockets;
  readonly log: Logger;
}

interface EngineInfo {
  readonly NCPU: number;
  readonly LiveRestoreEnabled?: boolean;
  /** Podman says it here, Docker among the security options. */
  readonly Rootless?: boolean;
  readonly SecurityOptions?: readonly string[] | null;
}

/** What of the engine's machine matters here. */
interface EngineMachine {
  readonly cpus: number;
  /** Its containers live in a network that the host has no way into but by published ports. */
  readonly rootless: boolean;
}

/** What may go wrong with one container while the engine is well. */
const aboutOne: ReadonlySet<Code> = new Set<Code>(["ENGINE_ERROR", "CONTAINER_STUCK"]);

/** Makes a driver; connects at its first call. */
export function createDockerDriver(options: DockerDriverOptions): Driver {
  return new DockerDriver(options);
}

class DockerDriver implements Driver {
  readonly runtime = "docker";
  private readonly options: DockerDriverOptions;
  private readonly engine: Engine;
  private readonly calls: ContainerCalls;
  private readonly pulls: Pulls;
  private readonly usages: UsageReader;
  private readonly ends: FreshEnds;
  private readonly runs = new RunTimes();
  private readonly outages: Outages;
  private readonly endings = new Set<Promise<void>>();
  private readonly closing = new AbortController();
  private about: Promise<EngineMachine> | undefined;
  /** The engine's containers run on when it ends, and it knows afterwards how they ended: so with Podman, and with `live-restore`. */
  private outlived = false;

  constructor(options: DockerDriverOptions) {
    this.options = options;
    this.engine = new Engine(options.clock, locateEngine(options.socket, options.memory, options.log));
    this.calls = new ContainerCalls(this.engine, options.clock, options.identity);
    this.pulls = new Pulls(this.engine, options.clock);
    this.usages = new UsageReader(this.engine, options.clock);
    this.ends = new FreshEnds(options.clock);
    this.outages = new Outages(options.clock);
  }

  async describe(): Promise<string> {
    const call = { what: "version", method: "GET", path: "/version", timeout: timeouts.read } as const;
    return engineName(await this.engine.ask<EngineVersion>(call));
  }

  pull(spec: ContainerSpec, onProgress: (text: string) => void, signal: AbortSignal): Promise<void> {
    return this.pulls.pull(spec.container.image ?? "", onProgress, signal, spec.container.imagePullPolicy);
  }

  async create(spec: ContainerSpec): Promise<string> {
    const identity = this.options.identity();
    if (identity === null) throw new SwainError("INTERNAL", "a container was asked for before the cluster was known");
    return createContainer(
      {
        calls: this.calls,
        pulls: this.pulls,
        clock: this.options.clock,
        cpus: async () => (await this.machine()).cpus,
        isPodman: () => this.engine.isPodman(),
      },
      spec,
      identity,
    );
  }

  async start(id: string): Promise<ContainerInfo> {
    const before = await this.calls.inspect(id);
    if (before === null) throw new SwainError("ENGINE_ERROR", `there is no container ${id} of this node`);
    if (containerInfo(before, null).state !== "running") {
      // Podman would start the owner of the network along with it.
      const gone = await this.networkGone(before);
      if (gone !== null) throw gone;
      try {
        await this.checkFolders(before);
        await this.calls.start(id);
      } catch (error) {
        throw await this.startFailed(error, id);
      }
    }
    const after = await this.ends.settle(id, () => this.look(id));
    if (after !== null && containerInfo(before, null).state !== "running") {
      this.runs.started(id, before, after, await this.engine.isPodman());
    }
    const started = after && (await this.infoOf(after));
    if (started === null) throw new SwainError("ENGINE_ERROR", `container ${id} was removed while it started`);
    return started;
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const found = await this.calls.inspect(id);
    if (found && containerInfo(found, null).state === "running") await this.calls.stop(id, graceMs);
  }

  async remove(id: string): Promise<void> {
    if (await this.calls.inspect(id)) await this.calls.remove(id);
    this.runs.forget(id);
  }

  async inspect(id: string): Promise<ContainerInfo | null> {
    const found = await this.ends.settle(id, () => this.look(id));
    return found && this.infoOf(found);
  }

  async list(): Promise<ContainerInfo[]> {
    const infos: ContainerInfo[] = [];
    // Every description needs what is known of the machine: without it, that is no single container's trouble.
    const [all] = await Promise.all([this.calls.list(), this.machine()]);
    await forEachLimited(all, readsInFlight, async (listed) => {
      const info = await this.inspect(listed.Id).catch((error: unknown) => this.undescribed(listed, error));
      if (info) infos.push(info);
    });
    return infos;
  }

  watch(events: DriverEvents): Cancel {
    const stop = new AbortController();
    const cancel = (): void => stop.abort();
    if (this.closing.signal.aborted) return cancel;
    this.closing.signal.addEventListener("abort", cancel, { once: true });
    const { clock, log, identity } = this.options;
    const onEvent = (action: string, id: string): void => this.ends.take(action, id);
    const onBack = (): void => this.outages.end();
    const onAway = (): void => {
      if (!this.outlived) this.outages.begin(this.engine.seenAt);
      // It may come back with other settings.
      this.about = undefined;
    };
    void watchEvents({ engine: this.engine, clock, log, identity, onEvent, onAway, onBack }, events, stop.signal);
    return () => {
      this.closing.signal.removeEventListener("abort", cancel);
      cancel();
    };
  }

  usage(ids: readonly string[]): Promise<Map<string, ContainerUsage>> {
    return this.usages.read(ids, (id) => this.calls.inspect(id));
  }

  async logs(id: string, options: LogOptions, onOutput: OnOutput): Promise<void> {
    const found = await this.calls.inspect(id);
    if (found === null) return;
    if (options.previous !== true) {
      await readLogs(this.engine, id, options, onOutput);
      return;
    }
    const window = this.runs.previous(found);
    const lines = window === null ? 0 : await readRun(this.engine, id, window, options, onOutput);
    if (lines > 0 || window?.sure === true) return;
    throw new SwainError("NO_PREVIOUS_RUN", `container ${id} has no output of an earlier run`);
  }

  async exec(id: string, options: ExecOptions, onOutput: OnExecOutput): Promise<ExecRun> {
    const found = await this.calls.inspect(id);
    if (found === null) throw new SwainError("NOT_RUNNING_NOW", `there is no container ${id} of this node`);
    // Docker says "conflict", Podman only that something failed.
    if (containerInfo(found, null).state !== "running") {
      throw new SwainError("NOT_RUNNING_NOW", `container ${id} does not run`);
    }
    const parts = { engine: this.engine, clock: this.options.clock, endings: this.endings };
    return runExec(parts, found.Id, options, onOutput);
  }

  async close(): Promise<void> {
    this.closing.abort();
    // Nobody would end them later: a program runs on in its container when its session is over.
    await within(this.options.clock, programEndings, Promise.all(this.endings));
    this.engine.close();
  }

  /** One container that the engine cannot describe, as when its files are broken or it is stuck, must not hide the others. */
  private undescribed(listed: Listed, error: unknown): ContainerInfo {
    if (!(error instanceof SwainError) || !aboutOne.has(error.code)) throw error;
    const { code, message } = error;
    const info = listedInfo(listed);
    this.options.log.warn("the engine cannot describe a container", {
      pod: info.pod,
      container: info.id,
      code,
      message,
    });
    return info;
  }

  private async infoOf(found: Inspected): Promise<ContainerInfo> {
    const beforeBoot = { from: -Infinity, until: this.options.clock.wall() - uptime() * 1000 };
    const unseen = [beforeBoot, ...this.outages.spans()];
    return containerInfo(found, await this.network(found), !(await this.machine()).rootless, unseen);
  }

  /** As the engine shows it, but for an end for want of memory that only the kernel told. */
  private async look(id: string): Promise<Inspected | null> {
    const found = await this.calls.inspect(id);
    if (found === null || !isKilledUnderLimit(found) || !(await this.engine.isPodman())) return found;
    return kernelEnded(found) ? { ...found, State: { ...found.State, OOMKilled: true } } : found;
  }

  /** Podman would make a folder that is gone; Docker refuses by itself. */
  private async checkFolders(found: Inspected): Promise<void> {
    const missing = (await this.engine.isPodman()) ? await missingFolder(boundFolders(found)) : null;
    if (missing !== null) throw missing;
  }

  private async startFailed(error: unknown, id: string): Promise<unknown> {
    // Without an answer there is nothing to explain, and one that is stuck would not be described either.
    if (statusOf(error) === undefined) return error;
    const found = await this.calls.inspect(id);
    const failure = await startFailure(error, found, this.options.sockets);
    if (found === null) return failure;
    const address = await lostAddress(found, this.options.sockets);
    // Podman chooses a free port once, when it makes the container. Made anew, it gets another.
    if (address === undefined && !isForChosenPort(failure, found)) return failure;
    await this.calls.remove(id);
    const what =
      address === undefined
        ? "the port the engine had chosen was taken meanwhile; another is chosen"
        : `this machine does not have the address ${address} that the container was made for; it is made anew`;
    return new SwainError("ENGINE_ERROR", what, { cause: failure });
  }

  /** Why the network it shares cannot be joined, or null. */
  private async networkGone(found: Inspected): Promise<SwainError | null> {
    const id = networkOwner(found);
    if (id === undefined) return null;
    const owner = await this.calls.inspect(id);
    if (owner !== null && containerInfo(owner, null).state === "running") return null;
    const what = "the container whose network is to be shared";
    if (owner !== null) return new SwainError("NETWORK_POD_MISSING", `${what} does not run`);
    // Without it this one can never start again: made anew, it joins what is there then.
    await this.calls.remove(found.Id);
    return new SwainError("NETWORK_POD_MISSING", `${what} is gone`);
  }

  /** The container whose network this one uses: mostly itself, else the pod's first one. */
  private async network(found: Inspected): Promise<Inspected | null> {
    const owner = networkOwner(found);
    return owner === undefined ? found : this.calls.inspect(owner);
  }

  private machine(): Promise<EngineMachine> {
    const call = { what: "info", method: "GET", path: "/info", timeout: timeouts.read } as const;
    this.about ??= Promise.all([this.engine.ask<EngineInfo>(call), this.engine.isPodman()]).then(([info, isPodman]) => {
      const { NCPU, Rootless, SecurityOptions, LiveRestoreEnabled } = info;
      this.outlived = isPodman || LiveRestoreEnabled === true;
      return { cpus: NCPU, rootless: Rootless === true || SecurityOptions?.includes("name=rootless") === true };
    });
    // A failure is not kept: the next container asks again.
    this.about.catch(() => {
      this.about = undefined;
    });
    return this.about;
  }
}
