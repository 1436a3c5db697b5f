// The process driver: programs of this node itself, for machines without a container engine. A process outlives the
// agent and is found again by the next one; its exit code is kept by a small wrapper. It shares the node's network and
// files, so what needs files or a network of its own is refused; CPU, memory and processes are limited by control groups
// where the agent may make them. It decides nothing: restarts and back-off are the agent's.
import { release, type } from "node:os";
import { sleep } from "../../../kernel/clock.ts";
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { asSwainError, SwainError } from "../../../kernel/errors.ts";
import type { Logger } from "../../../kernel/log.ts";
import type { Sockets } from "../../../kernel/sockets.ts";
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
import type { Cgroups } from "./cgroups.ts";
import { runExec } from "./exec.ts";
import { hasBegun, kill, runState, terminate } from "./group.ts";
import type { RunState } from "./group.ts";
import { checkCommand, launchOf, launchWrapper } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { readOutput } from "./logs.ts";
import { OutputKeeper } from "./output.ts";
import { PortChooser } from "./ports.ts";
import { refuseUnsupported } from "./sandbox.ts";
import { namesOf, processId, ProcessStore } from "./store.ts";
import type { Run, StoredSpec } from "./store.ts";
import { UsageReader } from "./usage.ts";
import { ProcessWatcher } from "./watcher.ts";

/** A process that ends is seen this soon while somebody waits for it. */
const endLooks = { firstMs: 5, maxMs: 100 };

/** SIGKILL works at once, except on a process the kernel holds; after this long that is told. */
const killPatience = 10_000;

/** The wrapper gets this long to write the exit code down before it is killed as well. */
const wrapperPatience = 2000;

/** From the start of the wrapper to that of the command; a loaded machine may need a while. */
const beginPatience = 10_000;

/** Files that cannot be read when the agent starts are looked at again this often, milliseconds. */
const readAgainMs = 1000;

export interface ProcessDriverOptions {
  /** The agent's data folder; processes live in `processes` below it. */
  readonly data: string;
  /** Null until the agent knows its cluster; nothing is ours till then. */
  readonly identity: () => DriverIdentity | null;
  readonly clock: Clock;
  readonly sockets: Sockets;
  readonly log: Logger;
  readonly cgroups: Cgroups;
}

export function createProcessDriver(options: ProcessDriverOptions): Driver {
  return new ProcessDriver(options);
}

interface Found {
  readonly stored: StoredSpec;
  readonly run: Run | null;
  readonly state: RunState | null;
  /** Whether its end was for want of memory. */
  readonly oomKilled: boolean;
}

class ProcessDriver implements Driver {
  readonly runtime = "process";
  private readonly options: ProcessDriverOptions;
  private readonly clock: Clock;
  private readonly cgroups: Cgroups;
  private readonly store: ProcessStore;
  private readonly ports: PortChooser;
  private readonly usages: UsageReader;
  private readonly watcher: ProcessWatcher;
  /** Runs whose wrapper is a living child of this process: container id → run number. */
  private readonly children = new Map<string, number>();
  /** Creating, starting and removing one container go one after the other. */
  private readonly turns = new Map<string, Promise<unknown>>();
  private readonly output: OutputKeeper;

  constructor(options: ProcessDriverOptions) {
    this.options = options;
    this.clock = options.clock;
    this.cgroups = options.cgroups;
    this.store = new ProcessStore(options.data);
    this.ports = new PortChooser(options.clock, options.sockets);
    this.usages = new UsageReader(options.clock);
    this.watcher = new ProcessWatcher(options.clock, async (id) => (await this.find(id))?.state?.state === "running");
    this.output = new OutputKeeper(options.clock);
  }

  async describe(): Promise<string> {
    // A limit that is passed over has to be seen somewhere: this is what every view of the node shows.
    return `processes on ${type()} ${release()} (${this.cgroups.describe()})`;
  }

  async pull(): Promise<void> {
    // Programs are on the node already.
  }

  async create(spec: ContainerSpec): Promise<string> {
    const identity = this.options.identity();
    if (identity === null) throw new SwainError("INTERNAL", "a process was asked for before the cluster was known");
    refuseUnsupported(spec.container, this.cgroups.kinds);
    const id = processId(spec.pod, spec.container.name, identity);
    return this.inTurn(id, async () => {
      const found = await this.find(id);
      if (found?.state?.state !== "running") await this.store.writeSpec(id, { identity, spec });
      return id;
    });
  }

  start(id: string): Promise<ContainerInfo> {
    return this.inTurn(id, async () => {
      const found = await this.find(id);
      if (!found) throw new SwainError("ENGINE_ERROR", `there is no process ${id} of this node`);
      if (found.state?.state !== "running") {
        await this.checkAddress(id, found);
        await this.launch(id, found);
      }
      await this.begun(id);
      const info = await this.inspect(id);
      if (!info) throw new SwainError("ENGINE_ERROR", `process ${id} was removed while it started`);
      return info;
    });
  }

  async stop(id: string, graceMs: number): Promise<void> {
    // A signal would be lost while the command is just beginning.
    await this.turns.get(id)?.catch(() => {});
    const found = await this.find(id);
    if (found?.state?.state !== "running" || !found.run) return;
    const { run } = found;
    const { leader } = found.state;
    if (!leader) throw new SwainError("ENGINE_ERROR", `process ${id} has not begun yet`);
    await terminate(this.store, id, run, leader);
    if (await this.endsWithin(id, graceMs)) return;
    const killedAt = this.clock.mono();
    for (;;) {
      const since = this.clock.mono() - killedAt;
      await kill(this.store, id, run, leader, since > wrapperPatience);
      if (await this.endsWithin(id, endLooks.maxMs)) return;
      if (since > killPatience) throw new SwainError("ENGINE_ERROR", `process ${id} did not end when it was killed`);
    }
  }

  async remove(id: string): Promise<void> {
    const found = await this.find(id);
    if (!found) return;
    await this.stop(id, 0);
    const ended = await this.find(id);
    if (ended) await this.inTurn(id, () => this.discard(id, ended));
  }

  async inspect(id: string): Promise<ContainerInfo | null> {
    const found = await this.find(id);
    return found && infoOf(id, found);
  }

  async list(): Promise<ContainerInfo[]> {
    const infos: ContainerInfo[] = [];
    for (const id of await this.store.ids()) {
      const info = await this.inspect(id).catch((error: unknown) => this.unread(id, error));
      if (info) infos.push(info);
    }
    return infos;
  }

  watch(events: DriverEvents): Cancel {
    const cancel = this.watcher.add(events);
    // What ended between the caller's last list and now told nobody.
    const cancelFirst = this.clock.after(0, () => events.onResync());
    const stop = new AbortController();
    void this.adoptAll(stop.signal);
    return () => {
      stop.abort();
      cancelFirst();
      cancel();
    };
  }

  async usage(ids: readonly string[]): Promise<Map<string, ContainerUsage>> {
    const groups = new Map<string, number>();
    for (const id of ids) {
      const state = (await this.find(id).catch(() => null))?.state;
      if (state?.state === "running" && state.leader) groups.set(id, state.leader.pid);
    }
    return this.usages.read(groups);
  }

  async logs(id: string, options: LogOptions, onOutput: OnOutput): Promise<void> {
    const found = await this.find(id);
    if (!found) return;
    const previous = found.run && (await this.store.previous(id, found.run));
    if (options.previous === true && !previous) throw new SwainError("NO_PREVIOUS_RUN", `process ${id} ran only once`);
    if (!found.run) return;
    const runs = [previous, options.previous === true ? null : found.run].filter((run) => run !== null);
    const folders = runs.map((run) => this.store.runFolder(id, run));
    const running = async (): Promise<boolean> => (await this.find(id))?.state?.state === "running";
    await readOutput(folders, options, onOutput, { clock: this.clock, running });
  }

  async exec(id: string, options: ExecOptions, onOutput: OnExecOutput): Promise<ExecRun> {
    const found = await this.find(id);
    const run = found?.run;
    if (!run || found.state?.state !== "running") throw new SwainError("NOT_RUNNING_NOW", `process ${id} does not run`);
    const running = async (): Promise<boolean> => {
      const now = await this.find(id);
      return now?.run?.number === run.number && now.state?.state === "running";
    };
    const launch = await this.withinLimits(id, run, await launchOf(id, found.stored.spec, run));
    return runExec({ clock: this.clock, running }, { ...launch, command: options.command }, options, onOutput);
  }

  async close(): Promise<void> {
    this.output.close();
    this.watcher.close();
  }

  /** Null when it is not there or not ours. */
  private async find(id: string): Promise<Found | null> {
    const stored = await this.store.spec(id);
    const identity = this.options.identity();
    if (!stored || stored.identity.clusterUid !== identity?.clusterUid || stored.identity.node !== identity.node) {
      return null;
    }
    const run = await this.store.run(id);
    const mine = run !== null && this.children.get(id) === run.number;
    const state = run && (await runState(this.store, id, run, mine));
    const hasEnded = run !== null && state?.state === "exited";
    return { stored, run, state, oomKilled: hasEnded && (await this.cgroups.settle(this.store.runFolder(id, run))) };
  }

  /** Removes what does not run. */
  private async discard(id: string, { run, stored }: Found): Promise<void> {
    if (run) await this.cgroups.checkSettled(this.store.runFolder(id, run));
    await this.store.remove(id);
    this.watcher.forget(id);
    this.watcher.tell(id, stored.spec.pod);
  }

  /** One made for an address that is gone can never start again: made anew, it gets the one of now. */
  private async checkAddress(id: string, found: Found): Promise<void> {
    const { spec } = found.stored;
    if (await this.ports.hasAddress(spec)) return;
    await this.discard(id, found);
    const what = `this machine does not have the address ${spec.advertise} that the process was made for; it is made anew`;
    throw new SwainError("ENGINE_ERROR", what);
  }

  private async withinLimits(id: string, run: Run, launch: Launch): Promise<Launch> {
    return { ...launch, prefix: [...(await this.cgroups.wordsFor(this.store.runFolder(id, run))), ...launch.prefix] };
  }

  private async launch(id: string, found: Found): Promise<void> {
    const { spec } = found.stored;
    // The run before may still hold memory, or what cannot be killed now.
    if (found.run) await this.cgroups.checkSettled(this.store.runFolder(id, found.run));
    const run = { number: (found.run?.number ?? 0) + 1, ports: await this.ports.choose(spec) };
    const launch = await launchOf(id, spec, run);
    await checkCommand(launch);
    // Set before the run has its name: nobody who looks meanwhile may take a run of this driver for one that was given up.
    this.children.set(id, run.number);
    try {
      await this.store.beginRun(id, run);
      await this.cgroups.make(`${id}-${run.number}`, this.store.runFolder(id, run), spec.container);
      const child = await launchWrapper(this.store, id, run, await this.withinLimits(id, run, launch));
      child.once("exit", () => void this.childEnded(id, spec.pod, run));
      this.output.keep(this.store.runFolder(id, run));
    } catch (error) {
      this.children.delete(id);
      throw error;
    }
    this.watcher.forget(id);
    this.watcher.tell(id, spec.pod);
  }

  private async childEnded(id: string, pod: string, run: Run): Promise<void> {
    if (this.children.get(id) === run.number) this.children.delete(id);
    const state = await runState(this.store, id, run, false).catch(() => null);
    // Somebody killed the wrapper and the program runs on: it is watched like one of an earlier agent.
    if (state?.state === "running") {
      this.watcher.adopt(id, pod, this.store.runFolder(id, run));
      return;
    }
    this.watcher.tell(id, pod);
    await this.output.ended(this.store.runFolder(id, run));
  }

  /** Watches what runs of an earlier agent. What cannot be read is tried again. */
  private async adoptAll(signal: AbortSignal): Promise<void> {
    for (let left: string[] | null = null; !signal.aborted;) {
      left = await this.adopt(left).catch(() => left);
      if (left?.length === 0) return;
      await sleep(this.clock, readAgainMs, signal).catch(() => {});
    }
  }

  /** Adopts those ids, all when null; returns those that could not be read. */
  private async adopt(ids: readonly string[] | null): Promise<string[]> {
    const left: string[] = [];
    for (const id of ids ?? (await this.store.ids())) {
      const found = await this.find(id).catch(() => "unread" as const);
      if (found === "unread") left.push(id);
      else if (found) {
        const { run, state, stored } = found;
        const { pod } = stored.spec;
        if (run && state?.state === "running" && !this.children.has(id)) {
          this.output.keep(this.store.runFolder(id, run));
          this.watcher.adopt(id, pod, this.store.runFolder(id, run));
        }
        // One that could not be read before may have ended since.
        if (ids) this.watcher.tell(id, pod);
      }
    }
    return left;
  }

  /** One process whose files cannot be read must not hide the others. It may well run. */
  private unread(id: string, error: unknown): ContainerInfo | null {
    const identity = this.options.identity();
    const names = identity && namesOf(id, identity);
    if (!names) return null;
    const { code, message } = asSwainError(error);
    this.options.log.warn("the files of a process cannot be read", { pod: names.pod, container: id, code, message });
    return { id, ...names, state: "running", oomKilled: false, ports: [] };
  }

  /** Waits until the command runs, as a container engine's start does, or has ended. */
  private async begun(id: string): Promise<void> {
    const until = this.clock.mono() + beginPatience;
    for (;;) {
      // Looked at after the time, too: the agent itself may have stood still.
      const isLate = this.clock.mono() >= until;
      const found = await this.find(id);
      if (found?.state?.state !== "running" || !found.run) return;
      const { leader } = found.state;
      if (leader && (await hasBegun(this.store, id, found.run, leader))) return;
      if (isLate) return leader ? undefined : this.giveUp(id, found.run);
      await sleep(this.clock, endLooks.firstMs);
    }
  }

  /** Throws when the run never begins. A wrapper that wrote its line first goes on to the command, however long that takes. */
  private async giveUp(id: string, run: Run): Promise<void> {
    await this.store.claim(id, run);
    if ((await this.store.leader(id, run)) !== "claimed") return;
    throw new SwainError("ENGINE_ERROR", `process ${id} does not begin`);
  }

  private async endsWithin(id: string, ms: number): Promise<boolean> {
    const until = this.clock.mono() + ms;
    for (let pause = endLooks.firstMs; ; pause = Math.min(pause * 2, endLooks.maxMs)) {
      if ((await this.find(id))?.state?.state !== "running") return true;
      const left = until - this.clock.mono();
      if (left <= 0) return false;
      await sleep(this.clock, Math.min(pause, left));
    }
  }

  private async inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(id) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.turns.get(id) === turn) this.turns.delete(id);
    }
  }
}

function infoOf(id: string, { stored, run, state, oomKilled }: Found): ContainerInfo {
  const templateId = stored.spec.templateId;
  return {
    id,
    pod: stored.spec.pod,
    name: stored.spec.container.name,
    ...(templateId === undefined ? {} : { templateId }),
    state: state?.state ?? "created",
    ...(state?.state === "exited" ? { exitCode: state.exitCode } : {}),
    // A program may live through the kill of one of its processes, and then end well.
    oomKilled: oomKilled && state?.state === "exited" && state.exitCode !== 0,
    ports: state?.state === "running" ? (run?.ports ?? []) : [],
  };
}
