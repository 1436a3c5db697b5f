// Appends one event at a time and finds out what became of it. The log's next sequence decides, never a reply alone:
// servers differ in what they answer to a repeated message, and a timeout says nothing. Used by election and term.
import { limits } from "../bus/limits.ts";
import type { LogStore } from "../bus/port.ts";
import type { Event } from "../../schemas/generated/types.ts";
import { delayMs } from "../kernel/backoff.ts";
import type { Backoff } from "../kernel/backoff.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Folded, Ledger } from "./ledger.ts";
import type { Context } from "./ports.ts";
import { encodeEvent, parseJson, stringField } from "./record.ts";

export interface Draft {
  readonly subject: string;
  readonly event: Event;
}

/**
 * committed: in the log and folded. full: refused by the stream's limits, not in the log. tooLarge: the server takes no
 * event of this size, not in the log. deposed: another leader was elected. unsettled: not known; the state must be folded
 * anew before anything else is done with it.
 */
export type Settled =
  | { readonly kind: "committed"; readonly sequence: number; readonly folded: Folded; readonly bytes: number }
  | { readonly kind: "full" | "tooLarge" | "deposed" | "unsettled" };

/** A time on both clocks, for the monotonic one stands still while a machine sleeps, and which of its connections the bus had. */
export interface Moment {
  readonly mono: number;
  readonly wall: number;
  readonly breaks: number;
}

export const momentOf = ({ clock, bus }: Pick<Context, "clock" | "bus">): Moment => ({
  mono: clock.mono(),
  wall: clock.wall(),
  breaks: bus.breaks(),
});

const passedMs = (from: Moment, to: Moment): number => Math.max(to.mono - from.mono, to.wall - from.wall);

type Answer = "full" | "tooLarge" | "conflict" | "unknown" | "closed" | { readonly sequence: number };
type Look = "absent" | "own" | "foreign" | "deposed" | "unreadable";

/** No other of several servers leads the log sooner than this: an append that follows so closely meets the log of before. */
const quietMs = 2000;
/** Between two looks at a log that does not answer. */
const retry: Backoff = { firstMs: 50, maxMs: 1000, factor: 2 };

export class Appender {
  private readonly context: Context;
  private readonly log: LogStore;
  private readonly ledger: Ledger;
  /** The log's last sequence as known here. */
  private expected: number;
  private abandoned = false;
  /** After this the log was last seen to hold what was folded. */
  private heldSince: Moment;

  /** `since`: when the ledger was begun to be held against the log. */
  constructor(context: Context, ledger: Ledger, expected: number, since: Moment) {
    this.context = context;
    this.log = context.bus.log(context.subjects.stream);
    this.ledger = ledger;
    this.expected = expected;
    this.heldSince = since;
  }

  /** The log's last sequence as known here: what the next append expects. */
  get tail(): number {
    return this.expected;
  }

  /** Gives up the append under way at its next step: the process stops. */
  abandon(): void {
    this.abandoned = true;
  }

  /** Takes note that the ledger was brought up to the tail by other means. */
  caughtUp(tail: number, since: Moment): void {
    this.expected = tail;
    this.heldSince = since;
  }

  /**
   * Appends the event. `build` gets the sequence the log is expected to end with; it is asked again only when a foreign
   * record took that place, at which point the earlier bytes can never get in any more.
   */
  async append(build: (expected: number) => Draft): Promise<Settled> {
    const { clock, measures, bus } = this.context;
    const started = momentOf(this.context);
    const { heldSince } = this;
    const isQuiet = passedMs(heldSince, started) < quietMs;
    try {
      const settled = await this.settle(build, () => isQuiet && bus.breaks() === heldSince.breaks);
      if (settled.kind === "committed") this.heldSince = started;
      return settled;
    } finally {
      measures.append.add(clock.mono() - started.mono);
    }
  }

  private async settle(build: (expected: number) => Draft, isUnbroken: () => boolean): Promise<Settled> {
    const { clock } = this.context;
    const deadline = clock.mono() + limits.settleMs;
    let draft = build(this.expected);
    let data = encodeEvent(draft.event);
    let clean = true;
    for (let attempt = 0; clock.mono() < deadline && !this.abandoned; attempt++) {
      const answer = await this.send(draft, data);
      const isIn = typeof answer === "object" && answer.sequence === this.expected + 1;
      if (isIn && attempt === 0 && isUnbroken()) return this.commit(data);
      if (answer === "closed") break;
      if (!isIn) this.context.counters.settled++;
      const look = isIn ? "own" : await this.look(draft.event.id, deadline);
      if (look === "deposed") return { kind: "deposed" };
      if (look === "foreign") {
        // In a log that lost its end they are no strangers' records but the next leader's.
        if (!(await this.stands(deadline))) break;
        draft = build(this.expected);
        data = encodeEvent(draft.event);
        clean = true;
        continue;
      }
      if (!(await this.stands(deadline))) break;
      if (look === "own") return this.commit(data);
      // Only when no earlier try can still get in is a refusal the last word.
      const isRefused = answer === "full" || answer === "tooLarge";
      if (isRefused && look === "absent" && clean) return { kind: answer };
      clean &&= isRefused || answer === "conflict";
      await sleep(clock, delayMs(retry, attempt));
    }
    return { kind: "unsettled" };
  }

  private async send(draft: Draft, data: Uint8Array): Promise<Answer> {
    try {
      const sequence = await this.log.append(draft.subject, data, {
        expectedSequence: this.expected,
        messageId: draft.event.id,
        timeoutMs: limits.appendTimeoutMs,
      });
      return { sequence };
    } catch (error) {
      const { code, message } = asSwainError(error);
      if (code === "BUS_CLOSED") return "closed";
      if (code === "APPEND_CONFLICT") return "conflict";
      if (code === "PAYLOAD_TOO_LARGE") {
        this.context.log.warn("an event is larger than the server takes", { code, message });
        return "tooLarge";
      }
      this.context.log.warn("append without an answer", { code, message, expected: this.expected });
      return code === "LOG_FULL" ? "full" : "unknown";
    }
  }

  /** Reads what is at the next sequence; goes on over foreign records, which move the expectation. */
  private async look(id: string, deadline: number): Promise<Look> {
    const { clock } = this.context;
    let moved = false;
    for (let attempt = 0; clock.mono() < deadline && !this.abandoned; attempt++) {
      try {
        const record = await this.log.get(this.expected + 1);
        if (record === null) return moved ? "foreign" : "absent";
        if (stringField(parseJson(record.data), "id") === id) return "own";
        const { outcome } = this.ledger.fold(record.sequence, record.data);
        this.expected = record.sequence;
        if (outcome === "accepted") return "deposed";
        moved = true;
      } catch (error) {
        const failure = asSwainError(error);
        if (failure.code === "LOG_UNKNOWN_EVENT" || failure.code === "BUS_CLOSED") throw failure;
        await sleep(clock, delayMs(retry, attempt));
      }
    }
    return "unreadable";
  }

  /**
   * Whether what was folded is still in the log. Servers that lost their end in a power cut take an append
   * with an old expectation again once others have written as many records as were lost; what follows from a state that
   * never was must not be taken for committed. Without a lost connection or answer, or some seconds in which the log may
   * have got another leader, it cannot have come to this.
   */
  private async stands(deadline: number): Promise<boolean> {
    const { clock } = this.context;
    for (let attempt = 0; clock.mono() < deadline && !this.abandoned; attempt++) {
      try {
        await this.ledger.confirm(this.log, this.expected);
        return true;
      } catch (error) {
        const failure = asSwainError(error);
        if (failure.code === "BUS_CLOSED") throw failure;
        if (failure.code === "LOG_UNKNOWN") return false;
        await sleep(clock, delayMs(retry, attempt));
      }
    }
    return false;
  }

  /** Folds what was committed from its very bytes, so that this state is the one every other reader of the log gets. */
  private commit(data: Uint8Array): Settled {
    const sequence = this.expected + 1;
    const folded = this.ledger.fold(sequence, data);
    this.expected = sequence;
    this.context.counters.appended++;
    // The fold refuses an own event only if this controller wrote nonsense; going on would be worse.
    if (folded.outcome !== "accepted") return { kind: "unsettled" };
    return { kind: "committed", sequence, folded, bytes: data.length };
  }
}
