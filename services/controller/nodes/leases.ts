// Leases of nodes with fenced pods. An agent asks each second whether a leader counts its node as heard; what is granted
// lets it run those pods for a while longer. Granted is only what the log allows: it is read after the requests came, so
// a leader that was followed by another grants nothing any more, however long it takes to notice. One read serves all
// that wait. Why no two copies run is proved in `decisions/0027-fencing.md`.
import { leaseRequest } from "../../../schemas/generated/messages.js";
import type { LeaseReply, LeaseRequest } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { BusMessage } from "../../bus/port.ts";
import { respond, respondError } from "../../bus/respond.ts";
import { idOf } from "../../bus/subjects.ts";
import { fencing } from "../../core/fence.ts";
import { hasLost, leaseVerdict } from "../../core/lease.ts";
import type { ReadState } from "../../core/model.ts";
import type { Cancel } from "../../kernel/clock.ts";
import { asSwainError, SwainError } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";
import { bodyOf } from "../record.ts";
import type { Boots } from "./boots.ts";

/** Requests of this long share one look at the log: it costs a round trip, and agents ask each second. */
const gatherMs = 100;

export interface LeaseHooks {
  /** False when this controller does not lead any more. */
  trusted(): Promise<boolean>;
  /** Resolves when the state has that sequence. Rejects when the term is over or the log cannot be read. */
  reached(sequence: number): Promise<void>;
  /** False when this machine slept: what it read may be older than a server that is awake would tell. */
  isAwake(): boolean;
  /** The node counts as heard from now on. */
  onGranted(node: string): void;
}

interface Waiting {
  readonly node: string;
  readonly request: LeaseRequest;
  readonly message: BusMessage;
}

export class Leases {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly boots: Boots;
  private readonly hooks: LeaseHooks;
  /** The term's: once the state has another, somebody else leads. */
  private readonly epoch: number;
  private readonly term: string;
  /** One per node: an agent that asks again has given up on the request before, or has two answers for one. */
  private waiting = new Map<string, Waiting>();
  /** Node → the epoch it asked with that is not in a log with several replicas, and since when. */
  private readonly doubts = new Map<string, { readonly epoch: number; readonly since: number }>();
  private timer: Cancel | null = null;
  private looking = false;
  private ended = false;
  private replicated = true;
  private seen = false;

  constructor(context: Context, state: ReadState, term: string, boots: Boots, hooks: LeaseHooks) {
    this.context = context;
    this.state = state;
    this.boots = boots;
    this.hooks = hooks;
    this.epoch = state.epoch;
    this.term = term;
  }

  /** True unless the log was seen to have one replica. */
  get logReplicated(): boolean {
    return this.replicated;
  }

  start(): void {
    // What pods wait for depends on it, also when no node of theirs is left to ask.
    void this.readTail().catch(() => {});
  }

  stop(): void {
    this.ended = true;
    this.timer?.();
    const left = [...this.waiting.values()];
    this.waiting.clear();
    for (const one of left) this.refuse(one, notLeading());
  }

  onMessage(message: BusMessage): void {
    const node = idOf(message.subject);
    const request = bodyOf(message);
    if (!leaseRequest(request) || this.ended) {
      this.context.counters.malformed++;
      return;
    }
    if (this.waiting.size >= limits.inboxRequests && !this.waiting.has(node)) {
      this.context.counters.busy++;
      return;
    }
    this.waiting.set(node, { node, request, message });
    this.plan();
  }

  private plan(): void {
    if (this.looking || this.timer !== null || this.waiting.size === 0 || this.ended) return;
    this.timer = this.context.clock.after(gatherMs, () => {
      this.timer = null;
      void this.settle();
    });
  }

  /** Those that come while the log is read wait for the next look: it must begin after they came. */
  private async settle(): Promise<void> {
    const batch = [...this.waiting.values()];
    this.waiting = new Map();
    this.looking = true;
    let failure: SwainError | null = null;
    try {
      if (!(await this.hooks.trusted())) throw notLeading();
      await this.hooks.reached(await this.readTail());
      // Where the connection was lost meanwhile, what was read may be of a log that has lost its end since.
      if (!(await this.hooks.trusted()) || !this.hooks.isAwake()) throw notLeading();
    } catch (error) {
      failure = asSwainError(error);
    }
    this.looking = false;
    for (const one of batch) {
      if (failure === null) this.answer(one);
      else this.refuse(one, failure);
    }
    this.plan();
  }

  /** Once seen replicated it stays so for the term: it may have been when an earlier leader read it. */
  private async readTail(): Promise<number> {
    const { last, replicas } = await this.context.bus.log(this.context.subjects.stream).tail();
    this.replicated = replicas > 1 || (this.replicated && this.seen);
    this.seen = true;
    return last;
  }

  private answer(one: Waiting): void {
    const { node, request } = one;
    if (this.ended || this.state.epoch !== this.epoch) return this.refuse(one, notLeading());
    if (!this.boots.speaks(node, request.bootId)) {
      return this.refuse(one, new SwainError("NODE_ID_DOUBLED", `another agent speaks for node ${node}`));
    }
    const verdict = leaseVerdict(this.state, node, request.logId);
    if (!("generation" in verdict)) return this.refuse(one, new SwainError(verdict.code, verdict.message));
    const own = { epoch: this.epoch, generation: verdict.generation };
    const { epoch = 0, term = "", generation = 0 } = request;
    const isLost = hasLost({ ...own, term: this.term }, { epoch, term, generation });
    // The answer names no term: an agent that holds what another leader of this epoch told would count it.
    if (isLost && !this.isSure(node, epoch)) return this.refuse(one, notSure(node));
    this.hooks.onGranted(node);
    const lost = isLost ? { lost: epoch } : {};
    const reply: LeaseReply = { logId: this.state.logId, ...own, ...lost };
    respond(this.context.bus, one.message, this.context.subjects.node.inbox(node), reply);
  }

  /** A log with several replicas may be read stale for a while, and a later leader be in it all the same. */
  private isSure(node: string, epoch: number): boolean {
    if (!this.replicated) return true;
    const now = this.context.clock.mono();
    const known = this.doubts.get(node);
    if (known?.epoch === epoch) return now - known.since >= fencing.staleReadMs * fencing.drift;
    if (this.doubts.size >= limits.inboxRequests) this.doubts.clear();
    this.doubts.set(node, { epoch, since: now });
    return false;
  }

  private refuse({ node, message }: Waiting, error: SwainError): void {
    respondError(this.context.bus, message, this.context.subjects.node.inbox(node), error);
  }
}

const notSure = (node: string): SwainError =>
  new SwainError("NO_LEADER", `node ${node} follows a leader that is not in the log, or not to be read yet; ask again`);

/** Said to whoever asked it while it led. */
export const notLeading = (): SwainError => new SwainError("NO_LEADER", "this controller does not lead any more");
