// One term of leadership, from the acknowledged `leader.elected` to its end: takes in what comes, turns it into events,
// and acts on them once they are in the log. It does not elect and does not know what standbys do. Called by the
// controller's outer loop.
import type { Event, EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { BusMessage } from "../../bus/port.ts";
import { respond, respondError } from "../../bus/respond.ts";
import { idOf } from "../../bus/subjects.ts";
import type { ReadState } from "../../core/model.ts";
import type { View } from "../../core/view.ts";
import type { Cancel } from "../../kernel/clock.ts";
import { asSwainError, SwainError } from "../../kernel/errors.ts";
import type { ApiHost } from "../api/request.ts";
import { ApiServer } from "../api/server.ts";
import { momentOf } from "../append.ts";
import type { Appender } from "../append.ts";
import { Autoscaling } from "../autoscale/autoscaling.ts";
import { UsageStore } from "../autoscale/usage.ts";
import type { Queues } from "../figures.ts";
import { Assigner } from "../assign/assigner.ts";
import { syncPage } from "../assign/sync.ts";
import type { Ledger } from "../ledger.ts";
import { Boots } from "../nodes/boots.ts";
import { Heartbeats } from "../nodes/heartbeats.ts";
import { Leases, notLeading } from "../nodes/leases.ts";
import { Liveness } from "../nodes/liveness.ts";
import { Proxies } from "../nodes/proxies.ts";
import { Reports } from "../nodes/reports.ts";
import type { Context } from "../ports.ts";
import { Projector } from "../project/projector.ts";
import { bodyOf } from "../record.ts";
import { Renewals } from "../renewals.ts";
import { Signal } from "../signal.ts";
import { SnapshotKeeper } from "../snapshot/keeper.ts";
import { isOfLater, publishBeat } from "./beat.ts";
import { Changes } from "./changes.ts";
import { TermClock } from "./clock.ts";
import type { LastBefore } from "./clock.ts";
import { publishFeed } from "./feed.ts";
import { Guard } from "./guard.ts";
import { LateEvents } from "./late.ts";
import { Planner } from "./planner.ts";
import { Sequences } from "./sequences.ts";
import { Writer } from "./writer.ts";
import type { Committed, TermEnd } from "./writer.ts";

/** Changes handled before the planner and the nodes get their turn again. */
const changesPerTurn = 32;
/** What could not be written or verified is tried again after this. */
const retryMs = 1000;

/** The event that began the term. */
export interface Elected {
  readonly event: Event;
  readonly sequence: number;
}

export class Term {
  private readonly context: Context;
  /** New with each term: two leaders have the same epoch where the log lost an election. */
  private readonly name: string;
  private readonly ledger: Ledger;
  private readonly state: ReadState;
  private readonly appender: Appender;
  private readonly signal = new Signal();
  private readonly clock: TermClock;
  private readonly guard: Guard;
  private readonly keeper: SnapshotKeeper;
  private readonly writer: Writer;
  private readonly late: LateEvents;
  private readonly planner: Planner;
  private readonly changes: Changes;
  private readonly usage: UsageStore;
  private readonly autoscaling: Autoscaling;
  private readonly sequences: Sequences;
  private readonly liveness: Liveness;
  private readonly heartbeats: Heartbeats;
  private readonly reports: Reports;
  private readonly leases: Leases;
  private readonly proxies: Proxies;
  private readonly assigner: Assigner;
  private readonly projector: Projector;
  private readonly renewals: Renewals;
  private readonly api: ApiServer;
  private readonly cancels: Cancel[] = [];
  private stopping = false;
  /** Monotonic time before which nothing is written again, because the log took no more. */
  private restsUntil = -Infinity;

  /** Takes over the ledger and the appender that won the election. */
  constructor(context: Context, ledger: Ledger, appender: Appender, before: LastBefore) {
    const state: ReadState = ledger.state;
    const wake = (): void => this.signal.wake();
    this.context = context;
    this.name = context.ids.next();
    this.ledger = ledger;
    this.state = state;
    this.appender = appender;
    this.clock = new TermClock(context.clock, before);
    this.late = new LateEvents(context.clock, this.clock);
    this.guard = new Guard(context, {
      onExcuse: (ms) => this.excuse(ms),
      onSuspect: wake,
      isReplicated: () => this.leases.logReplicated,
    });
    this.keeper = new SnapshotKeeper(context, state, () => this.guard.look());
    this.writer = new Writer(context, state, appender, this.clock, {
      onCommitted: (committed) => this.onCommitted(committed),
      onFull: () => this.keeper.onFull(),
    });
    this.planner = new Planner(context, state, {
      view: () => this.view(),
      isDeaf: () => this.guard.isDeaf,
      sinceExcuse: () => this.guard.sinceExcuse(),
    });
    this.changes = new Changes(context, state, {
      onArrival: wake,
      onSuspect: () => this.guard.suspect(),
      leads: () => this.guard.look(),
      isAwake: () => !this.clock.mayHaveSlept(),
    });
    this.usage = new UsageStore(context, state);
    this.autoscaling = new Autoscaling(context, state, this.usage, () => this.clock.time(), wake);
    this.sequences = new Sequences(context, state, () => this.guard.suspect());
    this.liveness = new Liveness(context, state, () => this.look());
    const boots = new Boots(context);
    this.heartbeats = new Heartbeats(context, state, boots, {
      onHeard: (node, held) => {
        this.liveness.hear(node);
        this.assigner.onHeard(node, held);
      },
      onBack: (node) => this.assigner.askAnew(node, () => boots.onAsked(node)),
      onFacts: wake,
      onTrouble: () => this.look(),
    });
    this.reports = new Reports(context, state, boots, wake);
    this.leases = new Leases(context, state, this.name, boots, {
      trusted: () => this.guard.trusted(),
      reached: (sequence) => this.sequences.reached(sequence),
      isAwake: () => !this.clock.mayHaveSlept(),
      onGranted: (node) => this.liveness.hear(node),
    });
    this.proxies = new Proxies(context, () => this.look());
    this.assigner = new Assigner(context, state, this.name, () => this.guard.look());
    this.renewals = new Renewals(context, state);
    this.projector = new Projector(context, state, {
      mayWrite: () => this.guard.look(),
      onNewer: () => this.guard.suspect(),
    });
    this.api = new ApiServer(context, this.host(context, state), () => this.guard.trusted());
  }

  private host(context: Context, state: ReadState): ApiHost {
    return {
      context,
      state,
      change: (operation, admit) => this.changes.submit(operation, admit),
      renewed: (endpoint) => this.renewals.renew(endpoint),
      underWay: () => this.writer.underWay,
      proxies: this.proxies,
      rebuild: () => {
        this.projector.reload();
        this.keeper.rebuild();
      },
      reached: (sequence) => this.sequences.reached(sequence),
      usage: this.usage,
      explain: (key) => this.autoscaling.explain(key),
      status: () => ({
        projectionLag: this.projector.lag(),
        deafMs: Math.round(this.guard.deafMs),
        assignmentsWaiting: this.assigner.waiting,
        proxies: this.proxies.view().length,
        strangers: this.heartbeats.strangers(),
        termAgeMs: Math.round(this.clock.age()),
        snapshots: this.keeper.status(),
      }),
    };
  }

  /** Leads until the term ends. Rejects with LOG_UNKNOWN_EVENT or BUS_CLOSED when this process can lead no more. */
  async run(elected: Elected): Promise<TermEnd> {
    this.context.counters.terms++;
    this.start();
    publishFeed(this.context, elected);
    try {
      const end = await this.loop();
      this.finish(end);
      return end;
    } finally {
      this.close();
    }
  }

  private view(): Omit<View, "isDeaf"> {
    return {
      ...this.clock.time(),
      heardAgoMs: this.liveness.heardAgo(),
      troubles: this.heartbeats.troubles(),
      proxies: this.proxies.view(),
      writtenAgoMs: this.projector.writtenAgoMs(),
      lateAgoMs: this.late.agoMs(),
      logReplicated: this.leases.logReplicated,
      renewedAgoMs: this.renewals.ago(),
    };
  }

  /** What waits now. */
  queues(): Queues {
    const lag = this.projector.lag();
    return {
      changes: this.changes.length,
      reports: this.reports.length,
      assignments: this.assigner.waiting,
      projections: lag.keys,
      api: this.api.waiting,
      projectionLagMs: lag.ms,
      deafMs: this.guard.deafMs,
    };
  }

  /** Ends the term after the append under way. */
  resign(): void {
    this.stopping = true;
    this.appender.abandon();
    this.signal.wake();
  }

  private start(): void {
    const { bus, subjects, clock } = this.context;
    this.guard.start();
    this.liveness.start();
    this.beat();
    this.cancels.push(
      clock.every(limits.leaderBeatMs, () => this.beat()),
      bus.subscribe(subjects.node.heartbeat("*"), (message) => {
        this.guard.look();
        this.heartbeats.onMessage(message);
      }),
      this.answer(subjects.node.report("*"), (message) => this.reports.onMessage(message)),
      this.answer(subjects.node.sync("*"), (message) => this.sync(message)),
      bus.subscribe(subjects.node.lease("*"), (message) => this.leases.onMessage(message), { drain: true }),
      bus.subscribe(subjects.node.metrics("*"), (message) => this.usage.onMessage(message)),
      clock.every(limits.metricsMs, () => this.autoscaling.look()),
      bus.subscribe(subjects.proxy.heartbeat("*"), (message) => this.proxies.onHeartbeat(message)),
      bus.subscribe(subjects.proxy.metrics("*"), (message) => this.proxies.onMetrics(message)),
      bus.subscribe(subjects.leader, (message) => {
        if (isOfLater(this.context, this.state, message)) this.guard.suspect();
      }),
      bus.subscribe(subjects.eventAll, (message) => this.onEvent(message)),
    );
    this.leases.start();
    this.api.start();
    this.projector.start();
    this.keeper.start();
  }

  /** Every append states the sequence it expects. A message that does not is a stray: it is looked at and counted now. */
  private onEvent(message: BusMessage): void {
    if (message.header("Nats-Expected-Last-Sequence") === undefined) this.guard.suspect();
  }

  private close(): void {
    this.api.stop();
    this.leases.stop();
    for (const cancel of this.cancels.splice(0)) cancel();
    this.keeper.stop();
    this.projector.stop();
    this.assigner.stop();
    this.liveness.stop();
    this.guard.stop();
    this.changes.end();
    this.sequences.end();
  }

  private async loop(): Promise<TermEnd> {
    while (!this.stopping) {
      const end = this.guard.look() ? await this.turn() : await this.verifyTail();
      if (end !== undefined) return end;
      if (!this.stopping) await this.signal.wait(this.context.clock, this.waitMs());
    }
    return "resigned";
  }

  private waitMs(): number | null {
    return this.guard.isSuspect || this.isResting ? retryMs : this.planner.waitMs;
  }

  private get isResting(): boolean {
    return this.context.clock.mono() < this.restsUntil;
  }

  private get hasInput(): boolean {
    return this.heartbeats.hasFacts || !this.reports.isEmpty || !this.changes.isEmpty;
  }

  /** Handles all that waits: nodes first, then what clients ask for, then what follows from it. */
  private async turn(): Promise<TermEnd | undefined> {
    for (;;) {
      const before = this.context.counters.appended;
      let end = this.isResting ? undefined : ((await this.takeFacts()) ?? (await this.takeReports()));
      for (let count = 0; end === undefined && count < changesPerTurn && !this.changes.isEmpty; count++) {
        end = await this.changes.next(this.writer);
      }
      if (end === undefined) await this.changes.settle(this.appender.tail);
      if (end === undefined && !this.isResting) end = await this.autoscaling.step(this.writer);
      if (end !== undefined) return end;
      // Its timer may be due before the guard's: it plans nothing out of the time in which this loop stood still.
      if (!this.guard.look()) return undefined;
      const planned = await this.planner.step(this.writer);
      if (typeof planned === "string") return planned;
      if (this.stopping || !this.guard.look() || this.isResting) return undefined;
      if (this.context.counters.appended === before && !this.hasInput) return undefined;
    }
  }

  private full(): undefined {
    this.restsUntil = this.context.clock.mono() + retryMs;
  }

  private async takeFacts(): Promise<TermEnd | undefined> {
    if (!this.heartbeats.hasFacts) return undefined;
    const items = this.heartbeats.take();
    const written = await this.writeAll("register", items);
    if (written !== "full") return written;
    this.heartbeats.putBack(items);
    return this.full();
  }

  private async takeReports(): Promise<TermEnd | undefined> {
    if (this.reports.isEmpty) return undefined;
    const batch = this.reports.take();
    if (batch === null) return undefined;
    const written = await this.writeAll("report", batch.items);
    if (written === undefined) batch.accept();
    else if (written === "full") batch.refuse(new SwainError("LOG_FULL", "the log takes no more events"));
    else batch.refuse(notLeading());
    return written === "full" ? this.full() : written;
  }

  /** Writes items that are independent of each other, in as many events as they need. One that fits none is left out. */
  private async writeAll(cause: string, items: readonly EventItem[]): Promise<TermEnd | "full" | undefined> {
    for (let rest = items; rest.length > 0;) {
      const part = this.writer.first(rest);
      const passed = this.writer.passed(cause, part);
      const written = await this.writer.write(cause, passed);
      if (written.kind === "ended") return written.end;
      if (written.kind === "full") return "full";
      if (written.kind !== "tooLarge" || passed.length <= 1) rest = rest.slice(part.length);
    }
    return undefined;
  }

  /** The event is in the log and in the state: now the world may know. */
  private onCommitted(committed: Committed): void {
    const { touched } = committed;
    this.renewals.onCommitted(committed.event);
    this.late.onCommitted(committed);
    this.planner.onCommitted(committed);
    this.autoscaling.onCommitted(committed);
    this.assigner.onTouched(touched.assignments);
    for (const { kind, verb, name } of committed.event.items) {
      if (kind !== "node" || verb !== "removed") continue;
      this.heartbeats.onRemoved(name);
      this.assigner.onRemoved(name, committed.sequence);
    }
    this.projector.onTouched(touched);
    this.sequences.onSequence();
    publishFeed(this.context, committed);
    this.keeper.onCommitted(committed.bytes);
  }

  /** Looks at the log's end before anything else is answered or commanded. */
  private async verifyTail(): Promise<TermEnd | undefined> {
    const { bus, subjects, log } = this.context;
    const since = momentOf(this.context);
    try {
      const tail = await this.ledger.catchUp(bus.log(subjects.stream));
      if (this.writer.overtaken !== undefined) return this.writer.overtaken;
      // What was asked for over a connection that is gone may be of a log that has lost its end since.
      if (bus.breaks() !== since.breaks) return undefined;
      this.appender.caughtUp(tail, since);
      this.guard.clear();
      this.sequences.onSequence();
      this.projector.resume();
      this.assigner.resume();
      this.look();
      return undefined;
    } catch (error) {
      const failure = asSwainError(error);
      if (failure.code === "BUS_CLOSED" || failure.code === "LOG_UNKNOWN_EVENT") throw failure;
      log.warn("the log's tail could not be verified", { code: failure.code, message: failure.message });
      // What was read before it failed is folded, and no later look would find it new.
      if (this.writer.overtaken !== undefined) return this.writer.overtaken;
      return failure.code === "LOG_UNKNOWN" || failure.code === "LOG_INCOMPLETE" ? "refold" : undefined;
    }
  }

  private excuse(ms: number): void {
    this.liveness.excuse(ms);
    this.proxies.excuse(ms);
    this.renewals.excuse(ms);
  }

  private look(): void {
    this.planner.look();
    this.signal.wake();
  }

  private beat(): void {
    if (this.guard.look()) publishBeat(this.context, this.state, false);
    if (this.stopping || !this.clock.isWrong()) return;
    this.context.log.warn("the clock was set, or the machine slept: the next term has the right time", {
      code: "CLOCK_SKEW",
    });
    this.resign();
  }

  /**
   * Ends answering before the beat that lets a standby take over. Also where the stop met a write whose outcome nobody waited
   * for: the log tells the next leader.
   */
  private finish(end: TermEnd): void {
    if (!this.stopping || end === "deposed") return;
    this.close();
    if (!this.guard.isSuspect) publishBeat(this.context, this.state, true);
  }

  /** Serves requests of nodes: once leading is beyond doubt, or with NO_LEADER when it is over. */
  private answer(subject: string, handle: (message: BusMessage) => void): Cancel {
    return this.context.bus.subscribe(subject, (message) => void this.handle(message, handle), { drain: true });
  }

  /** Whatever happens, the process lives on. */
  private async handle(message: BusMessage, handle: (message: BusMessage) => void): Promise<void> {
    const { bus, subjects, log } = this.context;
    try {
      if (await this.guard.trusted()) handle(message);
      else respondError(bus, message, subjects.node.inbox(idOf(message.subject)), notLeading());
    } catch (error) {
      log.error("a message could not be handled", { subject: message.subject, message: asSwainError(error).message });
    }
  }

  private sync(message: BusMessage): void {
    const { bus, subjects, counters } = this.context;
    const node = idOf(message.subject);
    try {
      respond(bus, message, subjects.node.inbox(node), syncPage(this.state, this.name, node, bodyOf(message)));
    } catch (error) {
      counters.malformed++;
      respondError(bus, message, subjects.node.inbox(node), asSwainError(error));
    }
  }
}
