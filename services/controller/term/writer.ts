// The one way of the term into the log: check the items, append them as one event, and only then let anyone know of it.
import type { Event, EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { check } from "../../core/check.ts";
import { eventSubjectParts } from "../../core/feed.ts";
import type { ReadState, Touched } from "../../core/model.ts";
import { traced } from "../../kernel/trace.ts";
import type { Appender } from "../append.ts";
import type { Context } from "../ports.ts";
import { jsonBytes } from "../record.ts";
import { firstEvent } from "./batch.ts";
import type { TermClock } from "./clock.ts";

/** Why a term ended. resigned: told to stop. deposed: another leads. refold: the log must be read anew. */
export type TermEnd = "resigned" | "deposed" | "refold";

export interface Committed {
  readonly event: Event;
  readonly sequence: number;
  readonly touched: Touched;
  /** Of the event as it is stored. */
  readonly bytes: number;
}

/** The same refusal comes back with every plan; one line in this time is enough. */
const refusedLogMs = 1000;

/** A committed event, or why there is none. tooLarge: the server takes it never; of several items fewer may go in. */
export type Written =
  | ({ readonly kind: "committed" } & Committed)
  | { readonly kind: "nothing" | "full" | "tooLarge" }
  | { readonly kind: "ended"; readonly end: TermEnd };

export interface WriterEvents {
  onCommitted(committed: Committed): void;
  /** The log took no more. */
  onFull(): void;
}

export class Writer {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly appender: Appender;
  private readonly clock: TermClock;
  private readonly events: WriterEvents;
  private refusedLogAt = -Infinity;
  /** Of one event: less than the limit where the server has refused one. */
  private mostBytes: number = limits.eventBytes;
  private writing: readonly EventItem[] = [];
  /** Sequence of the term's last event. */
  private written: number;

  constructor(context: Context, state: ReadState, appender: Appender, clock: TermClock, events: WriterEvents) {
    this.context = context;
    this.state = state;
    this.appender = appender;
    this.clock = clock;
    this.events = events;
    this.written = state.accepted;
  }

  /** How the term ends by an event in the state that is not of it; undefined while there is none. */
  get overtaken(): TermEnd | undefined {
    if (this.state.accepted === this.written) return undefined;
    // Else someone wrote in our name: nothing that depends on our own view of the log can be trusted.
    return this.state.epoch > this.written ? "deposed" : "refold";
  }

  /** What is on its way into the log: the state does not hold it yet, and will, unless it is lost. */
  get underWay(): readonly EventItem[] {
    return this.writing;
  }

  /** The longest beginning that fits one event; at least one item. */
  first(items: readonly EventItem[]): EventItem[] {
    return firstEvent(items, this.mostBytes);
  }

  /** Items the checker has nothing against. What it refuses is counted and said: it is always a defect. */
  passed(cause: string, items: readonly EventItem[]): EventItem[] {
    const time = this.clock.time();
    const violations = check(this.state, items, time);
    if (violations.length === 0) return [...items];
    this.context.counters.refused += violations.length;
    this.sayRefused(cause, violations);
    const refused = new Set(violations.map(({ index }) => index));
    const rest = items.filter((_, index) => !refused.has(index));
    // What leaned on a refused item falls with it.
    return rest.length === 0 || check(this.state, rest, time).length > 0 ? [] : rest;
  }

  /** Appends checked items as one event. Throws LOG_UNKNOWN_EVENT and BUS_CLOSED. */
  async write(cause: string, items: EventItem[], operation?: string): Promise<Written> {
    if (items.length === 0) return { kind: "nothing" };
    const draft = { subject: this.subjectOf(items), event: this.eventOf(cause, items, operation) };
    this.writing = items;
    const settled = await traced("append", () => this.appender.append(() => draft), {
      attributes: { "swain.cause": cause, "swain.items": items.length },
    }).finally(() => {
      this.writing = [];
    });
    switch (settled.kind) {
      case "committed": {
        const { sequence, folded, bytes } = settled;
        const committed = { event: draft.event, sequence, touched: folded.touched, bytes };
        this.written = sequence;
        this.events.onCommitted(committed);
        return { kind: "committed", ...committed };
      }
      case "full":
        this.context.log.error("the log takes no more events", { code: "LOG_FULL" });
        this.events.onFull();
        return { kind: "full" };
      case "tooLarge":
        if (items.length > 1) this.mostBytes = Math.min(this.mostBytes, jsonBytes(items) / 2);
        else this.sayTooLarge(cause, items);
        return { kind: "tooLarge" };
      case "deposed":
        return { kind: "ended", end: "deposed" };
      case "unsettled":
        this.context.log.warn("the outcome of an append is not known: folding the log anew");
        return { kind: "ended", end: "refold" };
    }
  }

  private sayTooLarge(cause: string, [item]: readonly EventItem[]): void {
    const { kind, verb, name } = item ?? {};
    const fields = { code: "PAYLOAD_TOO_LARGE", cause, kind, verb, name };
    this.context.log.error("an item is too large for an event and is left out", fields);
  }

  private sayRefused(cause: string, violations: ReturnType<typeof check>): void {
    const now = this.context.clock.mono();
    if (now - this.refusedLogAt < refusedLogMs) return;
    this.refusedLogAt = now;
    const [first] = violations;
    this.context.log.error("items were refused by the checker", {
      code: "PLAN_REFUSED",
      cause,
      count: violations.length,
      rule: first?.code,
      message: first?.message,
    });
  }

  private eventOf(cause: string, items: EventItem[], operation: string | undefined): Event {
    const { logId, epoch, lastEventId: prev } = this.state;
    const base = { schema: 1 as const, logId, epoch, id: this.context.ids.next(), prev, time: this.clock.now(), cause };
    return { ...base, ...(operation === undefined ? {} : { operation }), items };
  }

  private subjectOf(items: readonly EventItem[]): string {
    const { subjects } = this.context;
    const parts = eventSubjectParts(items);
    if (parts === "batch") return subjects.eventBatch;
    return subjects.event(parts.kind, parts.namespace, parts.name, parts.verb);
  }
}
