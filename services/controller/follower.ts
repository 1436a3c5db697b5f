// A standby: folds the log as it grows, so that it can take over warm. It decides nothing and answers nobody.
import type { LogRecord, LogStore } from "../bus/port.ts";
import type { Cancel } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Ledger } from "./ledger.ts";
import type { Context } from "./ports.ts";

/** Between two looks whether what was folded is still in the log. */
const holdMs = 10_000;

export interface FollowerEvents {
  /** The log named a leader. */
  onElected(): void;
  /** Following ended: LOG_UNKNOWN when the log is not the one followed so far, LOG_UNKNOWN_EVENT. */
  onBlocked(): void;
}

export class Follower {
  private readonly context: Context;
  private readonly ledger: Ledger;
  private readonly events: FollowerEvents;
  private readonly cancels: Cancel[] = [];
  private failure: SwainError | undefined;
  private stopped = false;
  private isHolding = false;

  constructor(context: Context, ledger: Ledger, events: FollowerEvents) {
    this.context = context;
    this.ledger = ledger;
    this.events = events;
  }

  /** Why it stopped folding; undefined while it follows. */
  get blocked(): SwainError | undefined {
    return this.failure;
  }

  start(): void {
    const { bus, clock, subjects } = this.context;
    const { state } = this.ledger;
    const log = bus.log(subjects.stream);
    const onBroken = (tail: { last: number }): void =>
      this.block(
        new SwainError("LOG_UNKNOWN", `the log ends at ${tail.last}, but was followed up to ${state.sequence}`),
      );
    const onRecord = (record: LogRecord): void => {
      if (this.failure !== undefined || this.stopped || record.sequence <= state.sequence) return;
      const { epoch } = state;
      try {
        this.ledger.fold(record.sequence, record.data);
      } catch (error) {
        this.block(asSwainError(error));
      }
      if (state.epoch !== epoch) this.events.onElected();
    };
    this.cancels.push(
      log.follow(state.sequence + 1, onRecord, onBroken),
      clock.every(holdMs, () => void this.hold(log)),
    );
    void this.hold(log);
  }

  /** Ends following; the ledger is the caller's again. */
  stop(): void {
    this.stopped = true;
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  /**
   * Holds what was folded against the log. One that lost its end and has grown past it since goes on where it was followed up
   * to, with events that do not count for who folded the part that was lost.
   */
  private async hold(log: LogStore): Promise<void> {
    const { state } = this.ledger;
    if (this.isHolding || this.failure !== undefined || state.accepted === 0) return;
    this.isHolding = true;
    try {
      // An event that was cut away or deleted by hand is no loss to who has folded it.
      if ((await log.get(state.accepted)) !== null) await this.ledger.confirm(log, state.sequence);
    } catch (error) {
      const failure = asSwainError(error);
      // What gives no answer is asked again.
      if (failure.code === "LOG_UNKNOWN") this.block(failure);
    } finally {
      this.isHolding = false;
    }
  }

  private block(error: SwainError): void {
    if (this.failure !== undefined || this.stopped) return;
    this.failure = error;
    this.context.log.error("following the log ended", {
      code: error.code,
      message: error.message,
    });
    this.events.onBlocked();
  }
}
