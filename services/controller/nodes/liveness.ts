// Who was heard, and when. A node is called unheard only after the server has delivered all it had for us and the node
// did not answer a ping either, or answered that it follows another log; until then it passes for heard a moment ago. What
// follows from it is the planner's affair.
import { assignReply } from "../../../schemas/generated/messages.js";
import { limits } from "../../bus/limits.ts";
import type { ReadState } from "../../core/model.ts";
import { isOtherLog } from "../../core/plan/liveness.ts";
import type { Cancel } from "../../kernel/clock.ts";
import { asSwainError } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";
import { bodyOf } from "../record.ts";

/** Pings in flight: a whole rack may fall silent at once, and each costs one timer. */
const pingsInFlight = 512;
/** An unconfirmed silence is shown to the planner as this much less than the limit. */
const unconfirmedMs = limits.nodeUnheardMs - 500;

interface Heard {
  /** Monotonic time, and the excused time up to then. */
  at: number;
  excused: number;
  /** True when flush and ping both say that the node is silent. */
  confirmed: boolean;
}

export class Liveness {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly onChange: () => void;
  private readonly heard = new Map<string, Heard>();
  private readonly startedAt: number;
  /** Milliseconds of own stalls and disconnects in this term. */
  private excused = 0;
  /** Nodes whose silence is being looked into. */
  private readonly probing = new Set<string>();
  private cancel: Cancel | undefined;

  /** `onChange` is called when a node is confirmed silent, or a node held for unheard speaks. */
  constructor(context: Context, state: ReadState, onChange: () => void) {
    this.context = context;
    this.state = state;
    this.onChange = onChange;
    this.startedAt = context.clock.mono();
  }

  start(): void {
    this.cancel = this.context.clock.every(limits.silenceLookMs, () => this.sweep());
  }

  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }

  /** A sign of life. */
  hear(node: string): void {
    const at = this.context.clock.mono();
    const entry = this.heard.get(node);
    const wasSilent = entry?.confirmed === true || this.state.nodes.get(node)?.state === "unknown";
    if (entry === undefined) this.heard.set(node, { at, excused: this.excused, confirmed: false });
    else {
      entry.at = at;
      entry.excused = this.excused;
      entry.confirmed = false;
    }
    if (wasSilent) this.onChange();
  }

  /** Takes own lag off everyone's silence. */
  excuse(ms: number): void {
    this.excused += Math.max(0, ms);
  }

  /** Node → milliseconds of silence, as the planner may judge it. */
  heardAgo(): ReadonlyMap<string, number> {
    const view = new Map<string, number>();
    for (const node of this.state.nodes.values()) {
      const entry = this.heard.get(node.id);
      const silence = this.silence(entry);
      if (entry?.confirmed === true) view.set(node.id, silence);
      // Unheard before this term and not a word since: it stays what it is.
      else if (node.state === "unknown" && entry === undefined)
        view.set(node.id, Math.max(limits.nodeUnheardMs, silence));
      else view.set(node.id, Math.min(silence, unconfirmedMs));
    }
    return view;
  }

  /** Milliseconds since the node was heard in this term; null when it never was. */
  lastHeard(node: string): number | null {
    const entry = this.heard.get(node);
    return entry === undefined ? null : this.silence(entry);
  }

  private silence(entry: Heard | undefined): number {
    const now = this.context.clock.mono();
    if (entry === undefined) return Math.max(0, now - this.startedAt - this.excused);
    return Math.max(0, now - entry.at - (this.excused - entry.excused));
  }

  private sweep(): void {
    for (const id of this.heard.keys()) {
      const gone = !this.state.nodes.has(id) && this.silence(this.heard.get(id)) > 60_000;
      if (gone) this.heard.delete(id);
    }
    if (this.context.bus.state() !== "connected") return;
    const silent = [...this.state.nodes.values()].filter((node) => {
      const entry = this.heard.get(node.id);
      if (node.state !== "ready" || entry?.confirmed === true || this.probing.has(node.id)) return false;
      return this.silence(entry) >= limits.nodeUnheardMs;
    });
    const ids = silent.slice(0, pingsInFlight - this.probing.size).map((node) => node.id);
    if (ids.length === 0) return;
    for (const id of ids) this.probing.add(id);
    void this.probe(ids).finally(() => {
      for (const id of ids) this.probing.delete(id);
    });
  }

  /** One round trip for all of them, then a ping each; those that stay silent through both are confirmed together. */
  private async probe(ids: readonly string[]): Promise<void> {
    try {
      await this.context.bus.flush(limits.silencePingMs);
    } catch {
      // The server does not answer us: the silence is ours, and is taken off once it does.
      return;
    }
    // What the server had for us before the flush has been handled; heartbeats among it count.
    const still = ids.filter((id) => this.silence(this.heard.get(id)) >= limits.nodeUnheardMs);
    const answers = await Promise.all(still.map((id) => this.ping(id)));
    let confirmed = 0;
    for (const [index, id] of still.entries()) {
      const entry = this.heard.get(id) ?? { at: this.startedAt, excused: 0, confirmed: false };
      if (answers[index] === true || this.silence(entry) < limits.nodeUnheardMs) continue;
      entry.confirmed = true;
      this.heard.set(id, entry);
      confirmed++;
    }
    if (confirmed > 0) this.onChange();
  }

  private async ping(id: string): Promise<boolean> {
    try {
      const subject = this.context.subjects.node.command(id, "ping");
      const answer = bodyOf(await this.context.bus.request(subject, {}, { timeoutMs: limits.silencePingMs }));
      // An agent whose heartbeats count for nothing is not heard by this either.
      if (assignReply(answer) && isOtherLog(this.state, answer.logId)) return false;
      this.hear(id);
      return true;
    } catch (error) {
      const { code } = asSwainError(error);
      // Anything but silence is a fault of our own connection, which proves nothing about the node.
      return code !== "TIMEOUT" && code !== "NO_LEADER";
    }
  }
}
