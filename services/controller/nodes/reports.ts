// Reports of agents, from the subject to the answer. One waits per node: an agent sends the next one only when it gave up
// on the last, and then says everything again. Answered after the append, or at once when they say nothing new.
import { report as isReport } from "../../../schemas/generated/messages.js";
import type { EventItem, Report } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { BusMessage } from "../../bus/port.ts";
import { respond, respondError } from "../../bus/respond.ts";
import { idOf } from "../../bus/subjects.ts";
import { admitReport } from "../../core/admit/report.ts";
import type { ReadState } from "../../core/model.ts";
import { SwainError } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";
import { bodyOf } from "../record.ts";
import type { Boots } from "./boots.ts";
import { isName } from "./names.ts";

interface Waiting {
  readonly node: string;
  readonly report: Report;
  readonly message: BusMessage;
}

/** The last report of a node that is in the log. */
interface Done {
  bootId: string;
  sequence: number;
}

export interface ReportBatch {
  readonly items: EventItem[];
  /** Answers all reports of the batch: they are in the log. */
  accept(): void;
  /** Answers all with an error: the agents say it again. */
  refuse(error: SwainError): void;
}

/** Nodes whose reports go into one batch: with what one report may hold this stays near one event. */
const reportsPerBatch = 256;

export class Reports {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly boots: Boots;
  private readonly onArrival: () => void;
  private readonly waiting = new Map<string, Waiting>();
  private readonly done = new Map<string, Done>();

  constructor(context: Context, state: ReadState, boots: Boots, onArrival: () => void) {
    this.context = context;
    this.boots = boots;
    this.state = state;
    this.onArrival = onArrival;
  }

  onMessage(message: BusMessage): void {
    const node = idOf(message.subject);
    const report = bodyOf(message);
    if (!isName(node) || !isReport(report)) {
      this.context.counters.malformed++;
      this.refuse(node, message, new SwainError("INVALID_REQUEST", "this is no report (schemas/messages/report)"));
      return;
    }
    const refusal = this.refusal(node, report);
    if (refusal !== undefined) this.refuse(node, message, refusal);
    else if (this.isOld(node, report)) this.accept({ node, report, message });
    else if (!this.isPassed(node, report)) {
      this.waiting.set(node, { node, report, message });
      this.onArrival();
    }
  }

  /** One that was under way for long, which its agent gave up on: a later one waits already. */
  private isPassed(node: string, { bootId, sequence }: Report): boolean {
    const waiting = this.waiting.get(node)?.report;
    return waiting?.bootId === bootId && waiting.sequence > sequence;
  }

  get length(): number {
    return this.waiting.size;
  }

  get isEmpty(): boolean {
    return this.waiting.size === 0;
  }

  /** The reports that wait, as items of one or a few events; null when there is nothing to write. */
  take(): ReportBatch | null {
    const items: EventItem[] = [];
    const batch: Waiting[] = [];
    for (const [node, waiting] of this.waiting) {
      if (batch.length >= reportsPerBatch || items.length >= limits.eventItems) break;
      this.waiting.delete(node);
      // It may have been said by another meanwhile, or be older than one that was written while it waited.
      const isOld = this.isOld(node, waiting.report);
      const news = isOld ? [] : admitReport(this.state, node, waiting.report.pods);
      if (news.length === 0) this.accept(waiting);
      else {
        items.push(...news);
        batch.push(waiting);
      }
    }
    if (items.length === 0) return null;
    return {
      items,
      accept: () => {
        for (const waiting of batch) this.accept(waiting);
      },
      refuse: (error) => {
        for (const { node, message } of batch) this.refuse(node, message, error);
      },
    };
  }

  private refusal(node: string, report: Report): SwainError | undefined {
    if (report.logId !== this.state.logId) {
      return new SwainError("LOG_UNKNOWN", `node ${node} follows log "${report.logId}", this is "${this.state.logId}"`);
    }
    if (!this.state.nodes.has(node)) {
      return new SwainError("NOT_FOUND", `node ${node} is not registered yet: its next heartbeat does that`);
    }
    if (!this.boots.speaks(node, report.bootId)) {
      return new SwainError("NODE_ID_DOUBLED", `another agent speaks for node ${node}`);
    }
    if (this.waiting.size >= limits.inboxRequests && !this.waiting.has(node)) {
      this.context.counters.busy++;
      return new SwainError("BUSY", "too many reports wait", { details: { retryAfterMs: 500 } });
    }
    return undefined;
  }

  private isOld(node: string, report: Report): boolean {
    const done = this.done.get(node);
    return done !== undefined && report.bootId === done.bootId && report.sequence <= done.sequence;
  }

  private accept({ node, report, message }: Waiting): void {
    const { bootId, sequence } = report;
    const done = this.done.get(node);
    const isSame = done?.bootId === bootId;
    this.done.set(node, { bootId, sequence: isSame ? Math.max(done.sequence, sequence) : sequence });
    this.forgetRemoved();
    // What another boot of the node reported may have been said after this one's last word: it says everything again.
    const reply = { accepted: sequence, ...(done === undefined || isSame ? {} : { resend: true }) };
    respond(this.context.bus, message, this.context.subjects.node.inbox(node), reply);
  }

  /** Now and then: half of what is held may be of nodes that were removed. */
  private forgetRemoved(): void {
    const { nodes } = this.state;
    if (this.done.size <= 2 * nodes.size) return;
    for (const node of this.done.keys()) if (!nodes.has(node)) this.done.delete(node);
  }

  private refuse(node: string, message: BusMessage, error: SwainError): void {
    respondError(this.context.bus, message, this.context.subjects.node.inbox(node), error);
  }
}
