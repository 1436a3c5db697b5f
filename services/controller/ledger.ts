// The one owner of a folded state: every record of the log goes through here, whoever reads or writes it. Used by the
// follower, the election, the term and the verifier, which hand it on; no two of them hold it at a time.
import type { LogRecord, LogStore } from "../bus/port.ts";
import { breaksChain, emptyState, extendsChain, foldRecord } from "../core/fold/fold.ts";
import type { State, Touched } from "../core/model.ts";
import type { Clock } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import { parseJson, stringField } from "./record.ts";

export interface Folded {
  readonly outcome: "accepted" | "foreign" | "unknown";
  readonly touched: Touched;
}

export class Ledger {
  readonly state: State;
  private readonly onForeign: (sequence: number) => void;
  private readonly clock: Clock | undefined;
  private acceptedAt: number | undefined;
  /** The first of some records that are not there, until it is known what they were. */
  private missing: number | null = null;
  /** A record behind them that shows that one of them was an event, unless a later one extends the chain. */
  private broken: number | null = null;

  /** With a clock it notes when events are folded. */
  constructor(onForeign: (sequence: number) => void, state: State = emptyState(), clock?: Clock) {
    this.state = state;
    this.onForeign = onForeign;
    this.clock = clock;
  }

  /** Monotonic time at which the last event was folded here; undefined when none was, or nobody noted it. */
  get foldedAt(): number | undefined {
    return this.acceptedAt;
  }

  /** Folds one record. Throws LOG_UNKNOWN_EVENT when it is of this log but of a type this version does not know. */
  fold(sequence: number, data: Uint8Array): Folded {
    const event = parseJson(data);
    const follows = this.state.sequence + 1;
    if (follows > 1 && sequence > follows) this.missing ??= follows;
    const { outcome, touched } = foldRecord(this.state, { sequence, event });
    if (outcome === "accepted") {
      this.missing = this.broken = null;
      this.acceptedAt = this.clock?.mono();
    }
    if (this.missing !== null && breaksChain(this.state, this.missing, sequence, event)) this.broken ??= sequence;
    if (outcome === "foreign") this.onForeign(sequence);
    if (outcome === "unknown") {
      throw new SwainError(
        "LOG_UNKNOWN_EVENT",
        `the event at sequence ${sequence} is of a type this version does not know`,
      );
    }
    return { outcome, touched };
  }

  /**
   * Folds all up to the log's tail, or to `upTo` if that is before it, and returns where that is.
   * Throws LOG_UNKNOWN when what was folded before, or what follows it, is not in the log any more, LOG_INCOMPLETE when an event is missing
   * between others, deleted or lost with a part of a damaged file (strays may be), LOG_RESTORING when it may be a part of a backup, and
   * what `fold` throws; TIMEOUT, JETSTREAM_ERROR.
   */
  async catchUp(log: LogStore, upTo = Infinity): Promise<number> {
    const from = this.state.sequence + 1;
    const last = Math.min((await log.tail()).last, upTo);
    if (last < this.state.sequence) throw lost(this.state.sequence, last);
    // After the look at its end, which may be that of a log that has lost its end and grown again since what was confirmed before.
    await this.confirm(log, this.state.sequence);
    if (last >= from) {
      let failure: unknown;
      const onRecord = (record: LogRecord): void => {
        try {
          if (failure === undefined && record.sequence > this.state.sequence) this.fold(record.sequence, record.data);
        } catch (error) {
          failure = error;
        }
      };
      await log.read(from, onRecord, upTo);
      // Records cut away while they were read are missing, or would have been folded over in silence. A restore may have begun meanwhile, too.
      const { first, last: end } = await log.tail();
      if (first > from)
        throw new SwainError("LOG_UNKNOWN", `the log begins at ${first} now, and was read from ${from} on`);
      if (failure !== undefined) throw failure as Error;
      // What was told to be its end may have been lost before it was read, and have grown again since under other events.
      if (end < last) throw lost(last, end);
      await this.confirm(log, last);
    }
    if (this.missing !== null && this.broken !== null) throw incomplete(this.missing, this.broken);
    // Records may be missing at the very end (deleted by hand): what counts for the next append is the tail.
    return Math.max(last, this.state.sequence);
  }

  /**
   * Holds what was folded against the log, which may be another one made anew, or have lost its end and grown again: the
   * last accepted event is where it was, and none of the records after it, up to `upTo`, which did not count or were missing, follows it
   * now. Throws LOG_UNKNOWN, and TIMEOUT or JETSTREAM_ERROR.
   */
  async confirm(log: LogStore, upTo: number): Promise<void> {
    const { accepted, lastEventId } = this.state;
    if (accepted > 0) {
      const record = await log.get(accepted);
      if (record === null || stringField(parseJson(record.data), "id") !== lastEventId) throw lost(accepted, null);
    }
    if (upTo <= accepted) return;
    let next: number | null = null;
    const onRecord = (record: LogRecord): void => {
      if (extendsChain(this.state, record.sequence, parseJson(record.data))) next ??= record.sequence;
    };
    await log.read(accepted + 1, onRecord, upTo);
    if (next !== null) throw lost(next, null);
  }
}

function lost(sequence: number, last: number | null): SwainError {
  const found = last === null ? "it is not there any more" : `the log ends at ${last}`;
  return new SwainError("LOG_UNKNOWN", `the log was followed up to sequence ${sequence}, but ${found}`);
}

function incomplete(missing: number, next: number): SwainError {
  const what = missing === next - 1 ? `record ${missing} is` : `records between ${missing} and ${next} are`;
  return new SwainError(
    "LOG_INCOMPLETE",
    `${what} missing in the log, and the event at ${next} does not follow the one before`,
  );
}
