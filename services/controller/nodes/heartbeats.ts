// Heartbeats of agents: who lives, which assignment they hold, and facts the log does not have yet (which is how a node
// registers). Thousands come in each second.
import { heartbeat as isHeartbeat } from "../../../schemas/generated/messages.js";
import type { EventItem, NodeFacts, Trouble } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { BusMessage } from "../../bus/port.ts";
import { idOf } from "../../bus/subjects.ts";
import { admitFacts } from "../../core/admit/node.ts";
import type { ReadState } from "../../core/model.ts";
import { isNews, isOtherLog } from "../../core/plan/liveness.ts";
import type { Context } from "../ports.ts";
import { bodyOf } from "../record.ts";
import type { Boots } from "./boots.ts";
import { isName } from "./names.ts";

export interface Held {
  readonly bootId: string;
  /** Empty when the agent follows no log yet. */
  readonly logId: string;
  /** Of the leader that told it, where the agent says so. */
  readonly epoch?: number;
  /** As that leader named its term, where the agent says so. */
  readonly term?: string;
  readonly generation: number;
}

interface Known extends Held {
  readonly facts: NodeFacts;
  readonly trouble: Trouble | null;
}

export interface HeartbeatEvents {
  /** The node lives and says what it holds. */
  onHeard(node: string, held: Held): void;
  /** It speaks again after another agent did. */
  onBack(node: string): void;
  /** Facts wait to be taken. */
  onFacts(): void;
  /** The node's trouble is another than the state has. */
  onTrouble(): void;
}

/** The agent that spoke for a node when that was removed. */
interface Leaving {
  readonly bootId: string;
  /** Monotonic time from which it may register anew. */
  readonly until: number;
}

/** What a node suffers from whose agent follows another log. */
const otherLog: Trouble = {
  reason: "LOG_UNKNOWN",
  message: "Its agent follows another log: it takes nothing from the leader of this one, and keeps what it runs.",
};
/** Agents of another log that are named in cluster.status. */
const strangersMost = 100;
/** What is known of nodes is looked through this often: machines with ids of their own may come and go for months. */
const sweepMs = 60_000;

export class Heartbeats {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly boots: Boots;
  private readonly events: HeartbeatEvents;
  private readonly known = new Map<string, Known>();
  private readonly waiting = new Map<string, NodeFacts>();
  private readonly others = new Set<string>();
  private readonly leaving = new Map<string, Leaving>();
  private sweptAt = -Infinity;

  constructor(context: Context, state: ReadState, boots: Boots, events: HeartbeatEvents) {
    this.context = context;
    this.boots = boots;
    this.state = state;
    this.events = events;
  }

  /** Nodes whose agents follow another log: they refuse what this leader says, so they are not counted on. */
  strangers(): string[] {
    return [...this.others].slice(0, strangersMost);
  }

  /** Node → what it says it suffers from, or that its word does not count. */
  troubles(): ReadonlyMap<string, Trouble | null> {
    return new Map([...this.known].map(([node, { trouble }]) => [node, this.others.has(node) ? otherLog : trouble]));
  }

  onMessage(message: BusMessage): void {
    this.sweep();
    const node = idOf(message.subject);
    const known = this.parse(node, message);
    if (known === undefined || !this.boots.hear(node, known.bootId)) return;
    this.known.set(node, known);
    if (this.isStranger(node, known)) return;
    this.wait(node, known.facts);
    this.events.onHeard(node, known);
    if (this.boots.isBack(node)) this.events.onBack(node);
    const record = this.state.nodes.get(node);
    if (record !== undefined && isNews(record, known.trouble)) this.events.onTrouble();
  }

  /**
   * The node was removed. The agent that speaks for it does not register anew at once: it is told first that its pods are
   * over, and one that joined loses its credentials. Another start of an agent is the operator's wish and registers.
   */
  onRemoved(node: string): void {
    const now = this.context.clock.mono();
    for (const [id, { until }] of this.leaving) if (until <= now) this.leaving.delete(id);
    this.waiting.delete(node);
    const known = this.known.get(node);
    if (known !== undefined) this.leaving.set(node, { bootId: known.bootId, until: now + limits.removedHoldMs });
  }

  /** Items of at most one event's size for the facts that wait. */
  take(): EventItem[] {
    const items: EventItem[] = [];
    for (const [node, facts] of this.waiting) {
      if (items.length >= limits.eventItems / 4) break;
      this.waiting.delete(node);
      items.push(...admitFacts(this.state, node, facts));
    }
    return items;
  }

  /** Takes facts back that could not be written; newer ones that came meanwhile win. */
  putBack(items: readonly EventItem[]): void {
    for (const item of items) {
      if (item.kind === "node" && item.verb === "registered" && !this.waiting.has(item.name)) {
        this.waiting.set(item.name, item.facts);
      }
    }
  }

  get hasFacts(): boolean {
    return this.waiting.size > 0;
  }

  /** Forgets nodes that are not registered (any more) and are silent. */
  private sweep(): void {
    const now = this.context.clock.mono();
    if (now - this.sweptAt < sweepMs) return;
    this.sweptAt = now;
    for (const node of this.known.keys()) {
      if (this.state.nodes.has(node) || !this.boots.forget(node)) continue;
      this.known.delete(node);
      this.others.delete(node);
    }
  }

  private isStranger(node: string, { logId }: Held): boolean {
    if (!isOtherLog(this.state, logId)) {
      this.others.delete(node);
      return false;
    }
    if (!this.others.has(node)) {
      this.others.add(node);
      this.context.log.warn("an agent follows another log and keeps what it runs", {
        code: "LOG_UNKNOWN",
        node,
        logId,
      });
      this.events.onTrouble();
    }
    return true;
  }

  private parse(node: string, message: BusMessage): Known | undefined {
    const body = message.isOver(limits.heartbeatBytes) ? undefined : bodyOf(message);
    if (!isName(node) || !isHeartbeat(body) || (!this.known.has(node) && this.known.size >= limits.inboxRequests * 2)) {
      this.context.counters.dropped++;
      return undefined;
    }
    const { bootId, logId, epoch, term = "", generation, facts } = body;
    // An agent of another release may say more than ours does.
    const { reason, message: words } = body.trouble ?? { reason: "", message: "" };
    const trouble = reason === "" ? null : { reason, message: words.slice(0, limits.troubleText) };
    return { bootId, logId, ...(epoch === undefined ? {} : { epoch }), term, generation, facts, trouble };
  }

  private isLeaving(node: string): boolean {
    const leaving = this.leaving.get(node);
    if (leaving === undefined) return false;
    if (leaving.bootId === this.known.get(node)?.bootId && this.context.clock.mono() < leaving.until) return true;
    this.leaving.delete(node);
    return false;
  }

  private wait(node: string, facts: NodeFacts): void {
    if (this.isLeaving(node) || admitFacts(this.state, node, facts).length === 0) {
      this.waiting.delete(node);
      return;
    }
    this.waiting.set(node, facts);
    this.events.onFacts();
  }
}
