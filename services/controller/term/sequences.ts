// Callers that want an answer no older than a sequence they have seen.
import type { ReadState } from "../../core/model.ts";
import { SwainError } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";

/** A leader is never behind its own log for longer than a look at the tail takes. */
const waitMs = 2000;
const waitersMost = 1000;

interface Waiter {
  readonly sequence: number;
  end(error?: SwainError): void;
}

export class Sequences {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly onAhead: () => void;
  private readonly waiters = new Set<Waiter>();

  /** `onAhead` is called when someone has seen more of the log than this leader. */
  constructor(context: Context, state: ReadState, onAhead: () => void) {
    this.context = context;
    this.state = state;
    this.onAhead = onAhead;
  }

  /** Resolves when the state has that sequence. Rejects with TIMEOUT, BUSY or NO_LEADER. */
  reached(sequence: number): Promise<void> {
    if (sequence <= this.state.sequence) return Promise.resolve();
    if (this.waiters.size >= waitersMost) {
      this.context.counters.busy++;
      return Promise.reject(new SwainError("BUSY", "too many readers wait", { details: { retryAfterMs: 500 } }));
    }
    this.onAhead();
    return new Promise((resolve, reject) => {
      const cancel = this.context.clock.after(waitMs, () => {
        const message = `the log has not reached sequence ${sequence}; it is at ${this.state.sequence}`;
        waiter.end(new SwainError("TIMEOUT", message));
      });
      const waiter: Waiter = {
        sequence,
        end: (error) => {
          cancel();
          this.waiters.delete(waiter);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.waiters.add(waiter);
    });
  }

  /** The state moved on. */
  onSequence(): void {
    for (const waiter of this.waiters) if (waiter.sequence <= this.state.sequence) waiter.end();
  }

  /** The term is over. */
  end(): void {
    for (const waiter of this.waiters)
      waiter.end(new SwainError("NO_LEADER", "this controller does not lead any more"));
  }
}
