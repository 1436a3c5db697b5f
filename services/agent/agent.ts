// The agent of one node: takes the assignment, keeps the node's pods as it says, and tells what it sees. It works without
// the bus (from its journal) and without the engine (it waits). It takes no decision about the cluster, and all it
// reaches comes through ports: `main.ts` starts it with the real world, a simulation with its own.
import type { Assign, Heartbeat, NodeFacts } from "../../schemas/generated/types.ts";
import type { Bus } from "../bus/port.ts";
import { limits } from "../bus/limits.ts";
import { subjectsOf } from "../bus/subjects.ts";
import type { Cancel } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Held, Verdict } from "./assignment.ts";
import { judge, nothingHeld, withdrawn } from "./assignment.ts";
import { bounds } from "./bounds.ts";
import { serveCommands } from "./commands.ts";
import type { AgentView } from "./figures.ts";
import { ExecSessions } from "./exec.ts";
import { Journal } from "./journal.ts";
import { Leaser } from "./leaser.ts";
import { LogSessions } from "./logs.ts";
import { measure } from "./metrics.ts";
import type { KeptRecord } from "./pod/record.ts";
import { Pods } from "./pods.ts";
import type { AgentOptions, AgentPorts } from "./ports.ts";
import { Reporter } from "./reporter.ts";
import type { Driver } from "./runtime/driver.ts";
import { measuredDriver } from "./runtime/measured.ts";
import { Syncer } from "./syncer.ts";

export interface Agent {
  /** Reads the journal and begins to look after the pods. Rejects with DISK_ERROR. */
  start(): Promise<void>;
  /** Gives it the bus, once; `bulk` carries logs and metrics and may be the same. The agent closes neither. */
  attach(bus: Bus, bulk: Bus): void;
  /** What may be looked at from outside, at any time. */
  view(): AgentView;
  /** Asks the engine who it is. Rejects with what the driver says. */
  askEngine(): Promise<string>;
  /** Ends in order. Pods stay as they are, or are stopped and removed first; rejects with PODS_LEFT when some may run on. */
  stop(options?: { readonly stopPods?: boolean }): Promise<void>;
}

const nobody = { epoch: 0, term: "" } as const;

/** Makes an agent; nothing happens before `start`. */
export function createAgent(ports: AgentPorts, options: AgentOptions): Agent {
  return new NodeAgent(ports, options);
}

class NodeAgent implements Agent {
  private readonly ports: AgentPorts;
  private readonly options: AgentOptions;
  private readonly bootId: string;
  /** Subjects of what it says each second, and more seldom. */
  private readonly says: { readonly heartbeat: string; readonly metrics: string };
  private readonly driver: Driver;
  private readonly journal: Journal;
  private readonly reporter: Reporter;
  private readonly syncer: Syncer;
  private readonly leaser: Leaser;
  private readonly sessions: LogSessions;
  private readonly programs: ExecSessions;
  /** What is in the journal, and acted on. */
  private held: Held = nothingHeld;
  /** What was told last: the same, but for the moment it takes to write it, or as long as the disk takes no writes. */
  private told: Held = nothingHeld;
  /** Some pod of those held is fenced. */
  private hasFenced = false;
  private kept: ReadonlyMap<string, KeptRecord> = new Map();
  private pods: Pods | null = null;
  private bus: Bus | null = null;
  /** Empty until the engine answered once in the life of this journal; before, the node is not announced. */
  private engine = "";
  /** The newest leader that an assignment came from. */
  private followed: { readonly epoch: number; readonly term: string } = nobody;
  private foreign = "";
  private repeating: Cancel | null = null;
  private describing: Cancel | null = null;
  /** Assignments are taken one after another. */
  private line: Promise<unknown> = Promise.resolve();
  private readonly cancels: Cancel[] = [];
  private stopped = false;

  constructor(ports: AgentPorts, options: AgentOptions) {
    this.ports = ports;
    this.options = options;
    this.bootId = ports.ids.next();
    const { clock, random, log } = ports;
    const subjects = subjectsOf(options.cluster).node;
    this.says = { heartbeat: subjects.heartbeat(options.node), metrics: subjects.metrics(options.node) };
    const driver = ports.openDriver(() => {
      const { clusterUid } = this.held;
      return clusterUid === "" ? null : { clusterUid, node: options.node };
    });
    this.driver = measuredDriver(driver, clock, ports.meter);
    this.journal = new Journal(ports.disk, options.data, clock, log, ports.meter);
    this.sessions = new LogSessions(clock);
    this.programs = new ExecSessions(clock, log, {
      output: (session) => subjects.execOutput(options.node, session),
      input: (session) => subjects.execInput(options.node, session),
    });
    this.reporter = new Reporter({
      clock,
      random,
      log,
      meter: ports.meter,
      bootId: this.bootId,
      subject: subjects.report(options.node),
      logId: () => this.held.logId,
      onResend: () => this.repeatSoon(0),
    });
    this.syncer = new Syncer({
      clock,
      random,
      log,
      subject: subjects.sync(options.node),
      held: () => this.held,
      onWhole: async (assignment) => void (await this.assign(assignment)),
      onForeign: (error) => this.refuse(error.message),
    });
    this.leaser = new Leaser({
      clock,
      log,
      bootId: this.bootId,
      subject: subjects.lease(options.node),
      told: () => this.told,
      newest: () => this.newest,
      isNeeded: () => this.hasFenced,
      onBehind: () => this.syncer.now(),
      onLost: (leading) => this.lost(leading),
      onRegained: () => this.pods?.heedFences(true),
      onTick: () => this.pods?.heedFences(false),
    });
  }

  async start(): Promise<void> {
    const remembered = await this.journal.read().catch(async (error: unknown) => {
      // `stop` would write over what could not be read.
      this.leaser.close();
      await this.driver.close();
      throw error;
    });
    this.hold(remembered.held);
    this.kept = remembered.records;
    this.engine = remembered.engine;
    this.journal.source(() => ({ logId: this.held.logId, engine: this.engine, records: this.pods?.records() ?? {} }));
    if (this.held.clusterUid === "") void this.describeEngine();
    else this.openPods().take(this.held.items, false);
  }

  view(): AgentView {
    return {
      isConnected: this.bus?.state() === "connected",
      isOver: this.stopped,
      ...(this.pods?.census() ?? { podStates: [], restarts: 0 }),
      reportsWaiting: this.reporter.waitingCount,
      reportsInFlight: this.reporter.inFlight,
      generation: this.held.generation,
    };
  }

  askEngine(): Promise<string> {
    return this.driver.describe();
  }

  attach(bus: Bus, bulk: Bus): void {
    const { clock } = this.ports;
    this.bus = bus;
    const { node, cluster } = this.options;
    const subjects = subjectsOf(cluster).node;
    this.cancels.push(
      serveCommands(bus, subjects.commandAll(node), subjects.inbox(node), {
        now: () => clock.mono(),
        held: () => this.held,
        assign: (assignment) => this.assign(assignment),
        logs: (request) => {
          if (this.pods === null) return false;
          this.sessions.open(request, this.pods, bulk, (pod) => subjects.log(node, pod));
          return true;
        },
        credit: (credit) => this.sessions.credit(credit, bulk, (pod) => subjects.log(node, pod)),
        exec: async (request) => {
          this.heed(request.epoch ?? this.newest.epoch);
          if (this.pods === null) return false;
          await this.programs.open(request, this.pods, bulk);
          return true;
        },
      }),
      bus.onState((state) => {
        if (state !== "connected") return;
        this.beat(bus);
        this.leaser.now();
        this.syncer.now();
        this.reporter.soon();
      }),
      clock.every(limits.heartbeatMs, () => this.beat(bus)),
      clock.every(limits.metricsMs, () => void this.measure(bulk)),
    );
    this.beat(bus);
    this.syncer.attach(bus);
    this.reporter.attach(bus);
    this.leaser.attach(bus);
  }

  async stop(options: { readonly stopPods?: boolean } = {}): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    for (const cancel of this.cancels.splice(0)) cancel();
    this.repeating?.();
    this.describing?.();
    this.syncer.close();
    this.leaser.close();
    this.reporter.close();
    this.sessions.close();
    this.programs.close();
    await this.line;
    try {
      if (options.stopPods === true) await this.pods?.stopAll();
    } finally {
      await this.pods?.close();
      await this.driver.close();
      await this.journal.close();
    }
  }

  private openPods(): Pods {
    const { cluster, node, facts } = this.options;
    const { clusterUid } = this.held;
    const identity = {
      cluster,
      clusterUid,
      node,
      get advertise() {
        return facts.advertise;
      },
    };
    const pods = new Pods(
      this.ports,
      this.driver,
      identity,
      {
        onReport: (key, report) => this.reporter.add(key, report),
        onEngine: (description) => this.engineIs(description),
        saveSoon: () => this.journal.saveSoon(),
        save: () => this.journal.saveRecords(),
        lease: (key) => this.leaser.lease(key),
      },
      this.kept,
    );
    this.pods = pods;
    pods.start();
    return pods;
  }

  /** Before the cluster is known there is no pod to look after, but the node can be announced. */
  private async describeEngine(): Promise<void> {
    try {
      this.engineIs(await this.driver.describe());
    } catch (error) {
      const { code, message } = asSwainError(error);
      this.ports.log.warn("the container engine cannot be used yet", { code, message });
      if (this.pods !== null || this.stopped) return;
      this.describing = this.ports.clock.after(bounds.describeMs, () => void this.describeEngine());
    }
  }

  private engineIs(description: string): void {
    if (this.engine === description) return;
    this.engine = description;
    this.journal.saveSoon();
  }

  private beat(bus: Bus): void {
    if (this.engine === "") return;
    const facts: NodeFacts = { ...this.options.facts, engine: this.engine };
    const { logId, epoch, term, generation } = this.held;
    const reported = this.reporter.reported;
    const time = this.ports.clock.wall();
    const heartbeat: Heartbeat = { bootId: this.bootId, logId, epoch, term, generation, reported, time, facts };
    const trouble = this.pods?.lastingTrouble() ?? this.journal.lastingTrouble();
    if (trouble !== null) {
      heartbeat.trouble = { reason: trouble.code, message: trouble.message.slice(0, limits.troubleText) };
    }
    bus.publish(this.says.heartbeat, heartbeat);
  }

  private async measure(bulk: Bus): Promise<void> {
    if (this.pods === null || bulk.state() !== "connected") return;
    const metrics = await measure(this.ports, this.pods);
    if (metrics === null || this.stopped) return;
    bulk.publish(this.says.metrics, metrics);
  }

  /** Judges an assignment and, if it is to be taken, acts on it once it is safely in the journal. Rejects with DISK_ERROR. */
  private assign(message: Assign): Promise<Held> {
    const work = this.line.then(async () => {
      if (!this.stopped) await this.judged(message, judge(this.told, message));
      return this.held;
    });
    this.line = work.catch(() => {});
    return work;
  }

  private async judged(message: Assign, verdict: Verdict): Promise<void> {
    if ("take" in verdict) {
      this.told = verdict.take;
      // A lease counts for what was told already, whether or not the disk takes it. What is to stop has none from now on.
      this.leaser.except(withdrawn(this.held, this.told));
      await this.obey(verdict.full);
    } else if (verdict.keep === "same") {
      // The disk may have room again.
      if (this.told !== this.held) await this.obey(false);
    } else if (verdict.keep === "foreign") {
      this.refuse(`an assignment of log "${message.logId}" came, the log followed is "${this.told.logId}"`);
      return;
    } else if (verdict.keep === "stale") {
      const { generation } = message;
      this.ports.log.info("an older assignment was refused", { generation, told: this.told.generation });
      this.leaser.doubt();
      return;
    } else if (verdict.keep === "gap") {
      this.syncer.now();
    }
    // It came late, or the log lost the newest leader, and with it what was reported to that one.
    if (message.epoch < this.newest.epoch) this.leaser.doubt();
    if (message.resend === true) this.repeatSoon(0);
    this.follow(message);
  }

  /** Acts on what was told last, once it is safely in the journal; `full`: it was told whole. Rejects with DISK_ERROR. */
  private async obey(full: boolean): Promise<void> {
    const [before, told] = [this.held, this.told];
    const { logId, epoch, term, generation } = told;
    const isSameLeader = logId === before.logId && epoch === before.epoch && term === before.term;
    const isNew = generation !== before.generation || !isSameLeader;
    if (isNew) await this.journal.writeAssignment(told);
    this.hold(told);
    for (const key of before.items.keys()) if (!told.items.has(key)) this.reporter.drop(key);
    const isHeir = before.logId !== "" && before.logId !== logId;
    if (isHeir) this.inherit(before);
    (this.pods ?? this.openPods()).take(told.items, full, isHeir);
    if (isNew) this.leaser.now();
    if (before.logId === "") this.reporter.soon();
  }

  private hold(held: Held): void {
    this.held = held;
    this.told = held;
    this.leaser.except(new Set());
    this.hasFenced = [...held.items.values()].some((pod) => pod.fence !== undefined);
  }

  /** What is not in the log is done for the newest leader alone. Throws NO_LEADER. */
  private heed(epoch: number): void {
    if (epoch >= this.newest.epoch) return;
    this.leaser.doubt();
    throw new SwainError("NO_LEADER", `the leader of epoch ${epoch} was followed by another`);
  }

  private get newest(): { readonly epoch: number; readonly term: string } {
    const { epoch, term } = this.told;
    return epoch >= this.followed.epoch ? { epoch, term } : this.followed;
  }

  /** The log lost its end with the election of the newest leader followed: nothing that was told compares with what comes. */
  private lost(leading: number): void {
    if (this.stopped) return;
    const { epoch, generation } = this.told;
    this.ports.log.warn("the log lost what this node was told last: all is asked for anew", {
      code: "LOG_UNKNOWN",
      epoch,
      generation,
    });
    this.held = { ...this.held, epoch: 0, term: "", generation: 0 };
    this.told = this.held;
    this.followed = { epoch: leading, term: "" };
    this.syncer.now();
    this.repeatSoon(bounds.repeatSpreadMs * this.ports.random.next());
  }

  /** The log was restored from the one followed so far: it knows nothing of what came after the backup. */
  private inherit(before: Held): void {
    const { logId, items } = this.held;
    this.ports.log.warn("following a restored log from here on", { code: "RESTORED", before: before.logId, logId });
    for (const [pod, item] of before.items) {
      if (items.has(pod) || item.desired === "stop") continue;
      this.ports.log.warn("a pod is not in the restored log and is stopped", { code: "RESTORED", pod });
    }
    this.followed = nobody;
    this.foreign = "";
    // Records of another log are not read: they go on under this one's id.
    this.journal.saveSoon();
    this.repeatSoon(0);
  }

  /** Another log is not followed: it may be an empty one, and everything would be stopped. */
  private refuse(message: string): void {
    // Once is enough: the heartbeat goes on saying which log is followed.
    if (this.foreign === message) return;
    this.foreign = message;
    this.ports.log.error("another log leads than the one followed; pods stay as they are", {
      code: "LOG_UNKNOWN",
      message,
    });
  }

  /** A new leader may have lost the end of the log with what was acknowledged, so it hears every state again. */
  private follow({ epoch, term = "" }: Assign): void {
    if (epoch <= this.followed.epoch) return;
    const first = this.followed.epoch === 0;
    this.followed = { epoch, term };
    if (!first) this.repeatSoon(bounds.repeatSpreadMs * this.ports.random.next());
  }

  private repeatSoon(ms: number): void {
    this.repeating?.();
    this.repeating = this.ports.clock.after(ms, () => this.pods?.repeat());
  }
}
