// Standing for election: catch up to the log's tail and append `leader.elected`, stating the sequence expected. Whoever
// gets that sequence leads; no clock and no lease is involved.
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import type { LogStore } from "../bus/port.ts";
import { delayMs } from "../kernel/backoff.ts";
import type { Backoff } from "../kernel/backoff.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Code } from "../kernel/errors.ts";
import { Appender, momentOf } from "./append.ts";
import type { Draft } from "./append.ts";
import type { Ledger } from "./ledger.ts";
import type { Context } from "./ports.ts";
import { refuseRemains } from "./remains.ts";
import type { LastBefore } from "./term/clock.ts";

/** From the first look at the log that failed, so long it is looked at again. */
const lookMs = 2000;
const retry: Backoff = { firstMs: 50, maxMs: 500, factor: 2 };
const unanswered: ReadonlySet<Code> = new Set<Code>(["TIMEOUT", "JETSTREAM_ERROR"]);

export type Election =
  | {
      readonly kind: "won";
      readonly appender: Appender;
      readonly event: Event;
      readonly sequence: number;
      readonly before: LastBefore;
    }
  /** lost: someone else leads. full: the log takes no more events. unsettled: fold anew before standing again. */
  | { readonly kind: "lost" | "full" | "unsettled" };

/**
 * Stands once. The ledger must be owned by the caller: nobody else may fold meanwhile. Reading the log may take its time;
 * when that is over and `isLed`, nobody is missing.
 * Throws what `Ledger.catchUp` throws, also after its election is in the log, and LOG_INCOMPLETE where that is empty and something else is left of
 * a cluster.
 */
export async function stand(context: Context, ledger: Ledger, isLed: () => boolean): Promise<Election> {
  const { epoch } = ledger.state;
  const since = momentOf(context);
  const log = context.bus.log(context.subjects.stream);
  const tail = await caughtUp(ledger, log);
  await refuseRemains(context, ledger);
  if (ledger.state.epoch !== epoch || isLed()) return { kind: "lost" };
  const appender = new Appender(context, ledger, tail, since);
  let last: Draft | undefined;
  let before: LastBefore | undefined;
  const settled = await appender.append((expected) => {
    before = { time: ledger.state.time, foldedAt: ledger.foldedAt ?? context.clock.mono() };
    return (last = draft(context, ledger, expected));
  });
  if (settled.kind === "committed" && last !== undefined && before !== undefined) {
    const { sequence } = settled;
    await lookAgain(context, ledger, appender);
    if (ledger.state.accepted !== sequence) return { kind: "lost" };
    return { kind: "won", appender, event: last.event, sequence, before };
  }
  if (settled.kind === "committed" || settled.kind === "tooLarge") return { kind: "unsettled" };
  return { kind: settled.kind === "deposed" ? "lost" : settled.kind };
}

/** The log's last sequence, once all is folded. */
async function caughtUp(ledger: Ledger, log: LogStore): Promise<number> {
  try {
    return await ledger.catchUp(log);
  } catch (error) {
    const { code, message } = asSwainError(error);
    // What was missed while it was followed may have been cut away: a snapshot stands in for it then.
    throw code === "LOG_INCOMPLETE" ? new SwainError("LOG_UNKNOWN", message) : error;
  }
}

/**
 * Holds the log against the ledger once the election is in it. A restore that began since may have taken the log for empty; one that
 * begins later finds the election. A look that fails, or over which the connection is lost, is taken again for a while, and all of it: meanwhile a
 * power cut may have taken the election, or another controller, which heard nobody, have been elected. Rejects with LOG_RESTORING, LOG_UNKNOWN,
 * TIMEOUT, JETSTREAM_ERROR and LOG_UNKNOWN_EVENT.
 */
async function lookAgain(context: Context, ledger: Ledger, appender: Appender): Promise<void> {
  const { bus, clock, subjects } = context;
  const log = bus.log(subjects.stream);
  let failedAt: number | undefined;
  for (let tries = 0; ; tries++) {
    const since = momentOf(context);
    try {
      const tail = await caughtUp(ledger, log);
      if (bus.breaks() !== since.breaks) throw new SwainError("TIMEOUT", "the connection was lost meanwhile");
      appender.caughtUp(tail, since);
      return;
    } catch (error) {
      failedAt ??= clock.mono();
      if (!unanswered.has(asSwainError(error).code) || clock.mono() - failedAt >= lookMs) throw error;
    }
    await sleep(clock, delayMs(retry, tries));
  }
}

/** The event that begins a term: its epoch is its own sequence. */
function draft(context: Context, ledger: Ledger, expected: number): Draft {
  const { ids, clock, id, subjects } = context;
  const { state } = ledger;
  const elected: EventItem = { kind: "leader", verb: "elected", name: id };
  const first = state.logId === "";
  const items: EventItem[] = first ? [{ kind: "cluster", verb: "created", name: ids.next() }, elected] : [elected];
  const event: Event = {
    schema: 1,
    logId: first ? ids.next() : state.logId,
    epoch: expected + 1,
    id: ids.next(),
    prev: state.lastEventId,
    time: Math.round(clock.wall()),
    cause: "election",
    items,
  };
  const subject = first ? subjects.eventBatch : subjects.event("leader", undefined, id, "elected");
  return { subject, event };
}
