// Whether this process may trust that it still leads, and what it hears. A loop or a server that stood still, a lost connection
// or another leader's beat are reasons to look at the log's tail before the next answer or command; time lost that way is
// nobody else's fault.
import { limits } from "../../bus/limits.ts";
import type { Cancel } from "../../kernel/clock.ts";
import type { Context } from "../ports.ts";

const tickMs = 250;
/** The own loop or the server stood still when nothing was seen of it for so long. */
const stallMs = 1000;
/** Of a log of several servers the end is asked for also where nothing else is: the own server may have lost the others … */
const askMs = 5000;
/** … if there is no answer for so long: a log is up to 15 s without its leader after the server that led it died. */
const unansweredMs = 15_000;
/** A server that stands still for a moment is no news; after this a node may be dead and not be given up. */
const lastingMs = 10_000;

export interface GuardEvents {
  /** Deadlines of others move by this many milliseconds. */
  onExcuse(ms: number): void;
  /** The tail must be verified. */
  onSuspect(): void;
  /** The log has several replicas. */
  isReplicated(): boolean;
}

export class Guard {
  private readonly context: Context;
  private readonly events: GuardEvents;
  private readonly cancels: Cancel[] = [];
  private readonly waiting = new Set<(trusted: boolean) => void>();
  private lookedAt: number;
  private disconnectedAt: number | undefined;
  private suspected = false;
  private ended = false;
  private excusedAt = -Infinity;
  /** Monotonic time at which the server last answered: what it had for this process before that was handled. */
  private reachedAt: number;
  /** A line was written for the answers that do not come. */
  private said = false;
  /** Monotonic time at which the log was last heard to have a leader. */
  private answeredAt: number;

  constructor(context: Context, events: GuardEvents) {
    this.context = context;
    this.events = events;
    this.lookedAt = context.clock.mono();
    this.answeredAt = this.lookedAt;
    this.reachedAt = this.lookedAt;
  }

  start(): void {
    const { bus, clock } = this.context;
    this.cancels.push(
      clock.every(tickMs, () => this.look()),
      clock.every(limits.silenceLookMs, () => void this.reach()),
      clock.every(askMs, () => void this.ask()),
      bus.onState((state) => {
        const now = clock.mono();
        if (state !== "connected") this.disconnectedAt ??= now;
        else if (this.disconnectedAt !== undefined) {
          this.excuseSince(this.disconnectedAt);
          this.disconnectedAt = undefined;
          this.suspect();
        }
      }),
    );
    if (bus.state() !== "connected") this.disconnectedAt = clock.mono();
  }

  stop(): void {
    this.ended = true;
    for (const cancel of this.cancels.splice(0)) cancel();
    this.release(false);
  }

  /** True when nothing speaks against leading. Every handler asks first, so that a stall is seen before it is acted on. */
  look(): boolean {
    const now = this.context.clock.mono();
    const gap = now - this.lookedAt;
    this.lookedAt = now;
    if (gap > stallMs) {
      this.context.counters.stalls++;
      this.context.log.warn("the own loop stood still", { ms: Math.round(gap) });
      // While disconnected the whole time counts anyway, once.
      if (this.disconnectedAt === undefined) this.excuseSince(now - gap + tickMs);
      this.suspect();
    }
    this.noticeDeafness();
    return !this.suspected && !this.ended;
  }

  /** True while nothing may be heard of anybody, whose silence says nothing then. */
  get isDeaf(): boolean {
    return this.disconnectedAt !== undefined || this.deafMs > 0;
  }

  /** Milliseconds since the server last answered in time; 0 while that is a moment ago. */
  get deafMs(): number {
    const ms = this.context.clock.mono() - this.reachedAt;
    return ms > stallMs ? ms : 0;
  }

  /** Milliseconds since a stall, of this process or of the server, or a reconnect last moved deadlines. */
  sinceExcuse(): number {
    return this.context.clock.mono() - this.excusedAt;
  }

  get isSuspect(): boolean {
    return this.suspected;
  }

  suspect(): void {
    if (this.ended) return;
    this.suspected = true;
    this.events.onSuspect();
  }

  /** The tail was verified: this process leads. */
  clear(): void {
    this.suspected = false;
    this.release(true);
  }

  /** Resolves with true once leading is beyond doubt, with false when the term ended. */
  trusted(): Promise<boolean> {
    if (this.look()) return Promise.resolve(true);
    if (this.ended) return Promise.resolve(false);
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  private async ask(): Promise<void> {
    const { bus, subjects, clock } = this.context;
    if (!this.events.isReplicated()) return;
    try {
      await bus.log(subjects.stream).tail();
      this.answeredAt = clock.mono();
    } catch {
      if (clock.mono() - this.answeredAt > unansweredMs) this.suspect();
    }
  }

  /**
   * A server that stands still breaks no connection, nor does a network that takes only one way: they are seen by this alone. It waits for
   * no earlier answer, so that those of a slow network come as often as they are asked for.
   */
  private async reach(): Promise<void> {
    try {
      await this.context.bus.flush(limits.leaderSilentMs);
      if (!this.ended) this.onReached();
    } catch {
      // What is missed meanwhile is taken off once there is an answer.
    }
  }

  private noticeDeafness(): void {
    if (this.said || this.disconnectedAt !== undefined || this.deafMs <= lastingMs) return;
    this.said = true;
    const message = `no answer came within ${limits.leaderSilentMs / 1000} s for ${Math.round(this.deafMs / 1000)} s`;
    this.context.log.warn("nobody is given up for silence", { code: "SERVER_SLOW", message });
  }

  private onReached(): void {
    const now = this.context.clock.mono();
    if (this.said) this.context.log.info("the server answers in time again", { ms: Math.round(now - this.reachedAt) });
    this.said = false;
    const isLate = now - this.reachedAt > stallMs;
    if (isLate) this.excuseSince(this.reachedAt + tickMs);
    this.reachedAt = now;
    if (isLate) this.suspect();
  }

  /** Takes off the time since then, or since the server fell silent if that was sooner; nothing is taken off twice. */
  private excuseSince(at: number): void {
    const now = this.context.clock.mono();
    const since = at - this.reachedAt > stallMs ? this.reachedAt + tickMs : at;
    const ms = now - Math.max(since, this.excusedAt);
    this.excusedAt = now;
    if (ms > 0) this.events.onExcuse(ms);
  }

  private release(trusted: boolean): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const resolve of waiting) resolve(trusted);
  }
}
