// A standby: folds the log as it grows, so that it can take over warm. It decides nothing and answers nobody.
import type { LogRecord } from "../bus/port.ts";
import type { Cancel } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Ledger } from "./ledger.ts";
import type { Context } from "./ports.ts";

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
  private cancel: Cancel | undefined;
  private failure: SwainError | undefined;
  private stopped = false;

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
    const { bus, subjects } = this.context;
    const { state } = this.ledger;
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
    this.cancel = bus.log(subjects.stream).follow(state.sequence + 1, onRecord, onBroken);
  }

  /** Ends following; the ledger is the caller's again. */
  stop(): void {
    this.stopped = true;
    this.cancel?.();
  }

  private block(error: SwainError): void {
    this.failure = error;
    this.context.log.error("following the log ended", {
      code: error.code,
      message: error.message,
    });
    this.events.onBlocked();
  }
}
