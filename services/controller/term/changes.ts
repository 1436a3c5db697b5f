// Changes that clients asked for, from the queue to the answer. One event per operation, in the order they came; an
// operation seen before is answered as it was then and changes nothing more. One that changes nothing writes no event, so that nothing
// shows this leader that it was followed: before it is answered the log's end is looked at, once for all that wait.
import type { Accepted, ChangeResult, EventItem } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { ReadState } from "../../core/model.ts";
import { SwainError, asSwainError } from "../../kernel/errors.ts";
import { activeTrace, inTrace } from "../../kernel/trace.ts";
import type { Trace } from "../../kernel/trace.ts";
import type { Context } from "../ports.ts";
import { parseJson } from "../record.ts";
import { toFitOneEvent } from "./batch.ts";
import type { TermEnd, Writer } from "./writer.ts";

export interface Admission {
  readonly items: EventItem[];
  readonly results: ChangeResult[];
}

interface Change {
  readonly operation: string | undefined;
  readonly admit: (state: ReadState) => Admission;
  /** Of the request that asked for it. */
  readonly trace: Trace;
  resolve(accepted: Accepted): void;
  reject(error: SwainError): void;
}

/** A change that changed nothing in the state of that sequence. */
interface Unchanged {
  readonly change: Change;
  readonly sequence: number;
  readonly results: ChangeResult[];
}

export interface ChangesEvents {
  /** Something waits. */
  onArrival(): void;
  /** The log does not end where this leader wrote last: it must be read before anything is answered. */
  onSuspect(): void;
  /** False when something speaks against leading: an answer that came meanwhile may be of another's log. */
  leads(): boolean;
  /** False when this machine slept, and with it maybe a server that does not know yet that it lost the others. */
  isAwake(): boolean;
}

/** Operations whose exact answers are kept; the log knows the others well enough. */
const answersKept = 1000;
const retryAfterMs = 500;

export class Changes {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly events: ChangesEvents;
  private readonly queue: Change[] = [];
  private readonly unchanged: Unchanged[] = [];
  private readonly answers = new Map<string, Accepted>();

  constructor(context: Context, state: ReadState, events: ChangesEvents) {
    this.context = context;
    this.state = state;
    this.events = events;
  }

  /** Resolves when the change is in the log. Rejects with what `admit` throws, BUSY, LOG_FULL, NO_LEADER or TIMEOUT. */
  submit(operation: string | undefined, admit: (state: ReadState) => Admission): Promise<Accepted> {
    if (this.queue.length >= limits.inboxRequests) {
      this.context.counters.busy++;
      return Promise.reject(new SwainError("BUSY", "too many changes wait", { details: { retryAfterMs } }));
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ operation, admit, trace: activeTrace(), resolve, reject });
      this.events.onArrival();
    });
  }

  get length(): number {
    return this.queue.length;
  }

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** Handles the oldest change. Returns why the term ended, if it did. */
  async next(writer: Writer): Promise<TermEnd | undefined> {
    const change = this.queue.shift();
    if (change === undefined) return undefined;
    try {
      const known = await this.known(change.operation);
      if (known !== undefined) change.resolve(known);
      else return await inTrace(change.trace, () => this.make(change, writer));
    } catch (error) {
      const failure = asSwainError(error);
      change.reject(failure);
      if (failure.code === "LOG_UNKNOWN_EVENT" || failure.code === "BUS_CLOSED") throw failure;
      if (failure.code === "INTERNAL") this.context.log.error("a change failed", { message: failure.message });
    }
    return undefined;
  }

  /**
   * Answers the changes since that changed nothing, or has them wait again where the log does not end at `tail`, which is the last
   * sequence known here. To be called while no append is under way. Throws BUS_CLOSED.
   */
  async settle(tail: number): Promise<void> {
    const settled = this.unchanged.splice(0);
    if (settled.length === 0) return;
    try {
      const seen = await this.context.bus.log(this.context.subjects.stream).tail();
      if (seen.last !== tail || !this.events.leads()) {
        this.queue.unshift(...settled.map(({ change }) => change));
        this.events.onSuspect();
        return;
      }
      const isOld = seen.heardAgoMs > limits.logUnheardMs || !this.events.isAwake();
      if (seen.replicas > 1 && isOld) throw unread("whether anybody else leads");
    } catch (error) {
      const isOver = asSwainError(error).code === "BUS_CLOSED";
      for (const { change } of settled) change.reject(isOver ? gone() : unread("whether anybody else leads"));
      if (isOver) throw error;
      return;
    }
    for (const { change, sequence, results } of settled) {
      change.resolve(this.remember(change.operation, sequence, results));
    }
  }

  /** The term is over: whoever waits must ask the next leader, with the same operation. */
  end(): void {
    for (const { change } of this.unchanged.splice(0)) change.reject(gone());
    for (const change of this.queue.splice(0)) change.reject(gone());
  }

  private async make(change: Change, writer: Writer): Promise<TermEnd | undefined> {
    const { items, results } = change.admit(this.state);
    toFitOneEvent(items);
    const passed = writer.passed("api", items);
    if (passed.length < items.length) throw new SwainError("PLAN_REFUSED", "the change would leave the state invalid");
    const written = await writer.write("api", passed, change.operation);
    switch (written.kind) {
      case "committed":
        change.resolve(this.remember(change.operation, written.sequence, results));
        return undefined;
      case "nothing":
        this.unchanged.push({ change, sequence: this.state.sequence, results });
        return undefined;
      case "full":
        throw new SwainError("LOG_FULL", "the log takes no more events");
      case "tooLarge":
        throw new SwainError("PAYLOAD_TOO_LARGE", "the event of this change is larger than the server takes");
      case "ended":
        // Where another leads, its election took the place.
        change.reject(
          written.end === "deposed" ? gone() : new SwainError("TIMEOUT", "the change may be in the log yet"),
        );
        return written.end;
    }
  }

  private remember(operation: string | undefined, sequence: number, results: ChangeResult[]): Accepted {
    const accepted: Accepted = { epoch: this.state.epoch, sequence, results };
    if (operation === undefined) return accepted;
    this.answers.set(operation, accepted);
    for (const oldest of this.answers.keys()) {
      if (this.answers.size <= answersKept) break;
      this.answers.delete(oldest);
    }
    return accepted;
  }

  private async known(operation: string | undefined): Promise<Accepted | undefined> {
    if (operation === undefined) return undefined;
    const answer = this.answers.get(operation);
    if (answer !== undefined) return answer;
    const sequence = this.state.operations.get(operation);
    if (sequence === undefined) return undefined;
    const { bus, subjects } = this.context;
    // An event that was cut meanwhile happened all the same; clients retry for seconds, and far more than that is kept.
    const record = await bus.log(subjects.stream).get(sequence).catch(rethrown);
    if (!this.events.leads()) throw unread("what became of the change");
    const items = record === null ? [] : itemsOf(parseJson(record.data));
    return { epoch: this.state.epoch, sequence, results: items.flatMap(resultOf) };
  }
}

/** A log that cannot be read now says nothing against a change that is in it: the client asks again. */
function rethrown(error: unknown): never {
  if (asSwainError(error).code === "BUS_CLOSED") throw error;
  throw unread("what became of the change");
}

const unread = (what: string): SwainError =>
  new SwainError("BUSY", `${what} cannot be read now`, { details: { retryAfterMs } });

const gone = (): SwainError => new SwainError("NO_LEADER", "this controller does not lead any more");

function itemsOf(event: unknown): EventItem[] {
  const items = (event as { items?: unknown } | undefined)?.items;
  return Array.isArray(items) ? (items as EventItem[]) : [];
}

/** What an item did, as far as the log tells: whether an applied object was new is not in it. */
function resultOf(item: EventItem): ChangeResult[] {
  if (item.kind === "node" && item.verb !== "registered" && item.verb !== "unknown" && item.verb !== "ready") {
    return [{ kind: "Node", namespace: "", name: item.name, action: item.verb }];
  }
  if (item.kind !== "workload" && item.kind !== "service" && item.kind !== "autoscaler") return [];
  const action = item.verb === "applied" ? "configured" : item.verb === "scaled" ? "scaled" : "deleted";
  const kind = { workload: "Workload", service: "Service", autoscaler: "Autoscaler" }[item.kind];
  return [{ kind, namespace: item.namespace, name: item.name, action }];
}
