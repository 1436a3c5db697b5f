// A controller's life: follow the log, stand when nobody leads, lead, and follow again. The shell around the pure core; it
// starts no containers and listens on no port of its own. main.ts runs it on real adapters, a simulation on its own.
import { sleep } from "../kernel/clock.ts";
import { SwainError, asSwainError } from "../kernel/errors.ts";
import type { Code } from "../kernel/errors.ts";
import type { Insight, Observed } from "../kernel/insight.ts";
import type { Running } from "../kernel/running.ts";
import { BeatWatch } from "./beats.ts";
import { stand } from "./election.ts";
import type { Election } from "./election.ts";
import { controllerFigures, controllerHealth, controllerReady } from "./figures.ts";
import type { ControllerView } from "./figures.ts";
import { Follower } from "./follower.ts";
import type { Ledger } from "./ledger.ts";
import type { Context } from "./ports.ts";
import { refuseRemains } from "./remains.ts";
import { SnapshotKeeper } from "./snapshot/keeper.ts";
import { openLedger } from "./snapshot/open.ts";
import { Term } from "./term/term.ts";
import type { TermEnd } from "./term/writer.ts";

/** Before the next try after the log gave no answer. */
const retryMs = 1000;
/** What ends by itself; a restore, too, takes the log with whoever followed it before. */
const passing: ReadonlySet<Code> = new Set(["TIMEOUT", "JETSTREAM_ERROR", "LOG_RESTORING"]);
/** Of many foreign records only one in this time is worth a line. */
const foreignLogMs = 1000;

type Won = Extract<Election, { kind: "won" }>;

export class Controller implements Running, Observed {
  /** Rejects also with LOG_INCOMPLETE, when it would have to begin a log where something is left of a cluster. */
  readonly closed: Promise<void>;
  private readonly context: Context;
  private readonly beats: BeatWatch;
  private readonly stopping = new AbortController();
  private ledger: Ledger;
  private term: Term | undefined;
  /** Makes room in a full log while nobody leads; a leader has its own. */
  private keeper: SnapshotKeeper | undefined;
  private mustRefold = false;
  private isIdle = false;
  private isOver = false;

  private constructor(context: Context, ledger: Ledger) {
    this.context = context;
    this.ledger = ledger;
    this.beats = new BeatWatch(context);
    this.closed = this.run();
    // Whoever holds it may look later than it rejects.
    this.closed.catch(() => {});
  }

  /**
   * Reads the log to its end and begins to follow it. `ensureStreams` has been called. Rejects with TIMEOUT,
   * JETSTREAM_ERROR, LOG_INCOMPLETE when neither log nor snapshots tell the state or the log alone is gone, LOG_RESTORING while a backup is
   * being written into it, or LOG_UNKNOWN_EVENT when the log is newer than this version.
   */
  static async start(context: Context): Promise<Controller> {
    const ledger = await foldedLedger(context);
    // Looked for again before it stands; here whoever starts it is told.
    await refuseRemains(context, ledger);
    return new Controller(context, ledger);
  }

  /** True while it leads. */
  get leads(): boolean {
    return this.term !== undefined;
  }

  /** What may be looked at from outside, at any time. */
  get insight(): Insight {
    return {
      health: () => controllerHealth(this.look()),
      ready: () => Promise.resolve(controllerReady(this.look())),
      figures: () => controllerFigures(this.look()),
    };
  }

  private look(): ControllerView {
    const { counters, measures, bus } = this.context;
    return {
      state: this.ledger.state,
      counters,
      measures,
      isConnected: bus.state() === "connected",
      heardAgoMs: this.beats.leaderAgoMs(),
      isIdle: this.isIdle,
      isOver: this.isOver,
      queues: this.term?.queues() ?? null,
    };
  }

  async stop(): Promise<void> {
    this.stopping.abort(new SwainError("BUS_CLOSED", "the controller was told to stop"));
    this.term?.resign();
    await this.closed.catch(() => {});
  }

  private async run(): Promise<void> {
    let closed = this.context.bus.state() === "closed";
    const unwatch = this.context.bus.onState((state) => {
      if (state !== "closed" || this.stopping.signal.aborted) return;
      closed = true;
      this.stopping.abort(new SwainError("BUS_CLOSED", "the connection was closed"));
      this.term?.resign();
    });
    this.beats.start();
    try {
      while (!this.stopping.signal.aborted) await this.round();
    } catch (error) {
      if (!this.stopping.signal.aborted) throw error;
    } finally {
      this.isOver = true;
      this.stopKeeper();
      this.beats.stop();
      unwatch();
    }
    if (closed) throw new SwainError("BUS_CLOSED", "the connection was closed");
  }

  private async round(): Promise<void> {
    try {
      if (this.mustRefold) await this.refold();
      const won = await this.standBy();
      if (won !== undefined) await this.lead(won);
    } catch (error) {
      const { code, message } = asSwainError(error);
      if (error instanceof LogReplaced || this.stopping.signal.aborted) throw error;
      if (code === "LOG_UNKNOWN_EVENT") await this.idle();
      else if (code === "LOG_UNKNOWN") this.mustRefold = true;
      else if (passing.has(code)) {
        this.context.log.warn("the log cannot be followed or led now", { code, message });
        await sleep(this.context.clock, retryMs, this.stopping.signal);
        this.beats.heard();
      } else throw error;
    }
  }

  /** Follows until nobody leads, then stands. Undefined when this did not make it the leader. */
  private async standBy(): Promise<Won | undefined> {
    const end = new AbortController();
    const onStop = (): void => end.abort(this.stopping.signal.reason);
    this.stopping.signal.addEventListener("abort", onStop, { once: true });
    const follower = new Follower(this.context, this.ledger, {
      onElected: () => {
        this.beats.heard();
        // It has a keeper of its own.
        this.stopKeeper();
      },
      onBlocked: () => end.abort(new SwainError("LOG_UNKNOWN", "following the log ended")),
    });
    const silence = this.beats.silence(this.ledger.state.logId === "", end.signal);
    follower.start();
    try {
      await silence;
    } catch (error) {
      throw follower.blocked ?? error;
    } finally {
      this.stopping.signal.removeEventListener("abort", onStop);
      follower.stop();
    }
    const since = this.context.clock.mono();
    const election = await stand(this.context, this.ledger, () => this.beats.heardSince(since));
    if (election.kind !== "full") this.stopKeeper();
    if (election.kind === "won") return election;
    this.beats.heard();
    if (election.kind === "full") this.makeRoom();
    if (election.kind === "unsettled") this.mustRefold = true;
    return undefined;
  }

  /** Only a leader cuts the log, and a full one takes no election; so whoever stood cuts it. */
  private makeRoom(): void {
    this.context.log.error("no leader can be elected", { code: "LOG_FULL" });
    if (this.keeper === undefined) {
      this.keeper = new SnapshotKeeper(this.context, this.ledger.state, () => true);
      this.keeper.start();
    }
    this.keeper.onFull();
  }

  private stopKeeper(): void {
    this.keeper?.stop();
    this.keeper = undefined;
  }

  private async lead({ appender, event, sequence, before }: Won): Promise<void> {
    const { log } = this.context;
    const { logId } = this.ledger.state;
    log.info("leading", { epoch: sequence, logId });
    this.term = new Term(this.context, this.ledger, appender, before);
    let end: TermEnd;
    try {
      if (this.stopping.signal.aborted) this.term.resign();
      end = await this.term.run({ event, sequence });
    } finally {
      this.term = undefined;
      this.beats.heard();
    }
    log.info("not leading any more", { epoch: sequence, why: end });
    if (end === "refold") this.mustRefold = true;
  }

  /** Reads the log anew. Rejects with LOG_UNKNOWN when it is another log: that is for an operator to decide. */
  private async refold(): Promise<void> {
    const { logId, sequence } = this.ledger.state;
    this.stopKeeper();
    this.context.log.warn("folding the log anew", { logId, sequence });
    const fresh = await foldedLedger(this.context);
    const found = fresh.state;
    if (logId !== "" && found.logId !== logId && !found.parents.includes(logId)) {
      const what = found.logId === "" ? "an empty log" : `log ${found.logId}`;
      throw new LogReplaced(`the bus holds ${what}, not log ${logId} that was followed here`);
    }
    if (found.sequence < sequence) {
      this.context.log.error("the log lost records", { code: "LOG_UNKNOWN", from: found.sequence + 1, to: sequence });
    }
    this.ledger = fresh;
    this.mustRefold = false;
  }

  /** Neither folds nor leads: another version must. */
  private async idle(): Promise<void> {
    this.context.log.error("this controller waits for its update and will not lead", { code: "LOG_UNKNOWN_EVENT" });
    const { signal } = this.stopping;
    if (signal.aborted) return;
    this.stopKeeper();
    this.isIdle = true;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
}

/** Ends the process, unlike the LOG_UNKNOWN that folding anew may cure. */
class LogReplaced extends SwainError {
  constructor(message: string) {
    super("LOG_UNKNOWN", message);
  }
}

/** The log's state, by way of the newest good snapshot. */
async function foldedLedger(context: Context): Promise<Ledger> {
  const { clock, counters, log } = context;
  let loggedAt = -Infinity;
  const onForeign = (sequence: number): void => {
    counters.foreign++;
    if (clock.mono() - loggedAt < foreignLogMs) return;
    loggedAt = clock.mono();
    log.warn("a record of the log was not written by a leader and is skipped", { code: "LOG_FOREIGN", sequence });
  };
  const onProblem = ({ code, message }: SwainError): void => {
    counters.snapshotsBroken++;
    log.warn("a snapshot cannot be used", { code, message });
  };
  const { ledger, base } = await openLedger(context, { onForeign, onProblem, clock });
  log.debug("the log is folded", { sequence: ledger.state.sequence, snapshot: base?.manifest.sequence ?? 0 });
  return ledger;
}
