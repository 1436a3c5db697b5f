// The leader's beats as others hear them. Silence only ever means "try": who leads is decided by the log.
import { leaderBeat } from "../../schemas/generated/messages.js";
import type { LeaderBeat } from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import type { Cancel } from "../kernel/clock.ts";
import type { Context } from "./ports.ts";
import { bodyOf } from "./record.ts";

/** How often a controller looks whether its own loop stood still … */
const lookMs = 250;
/** … for this long: beats may wait unread. */
const stallMs = 1000;
/** Between two looks while nothing can be heard, or nothing was heard for long enough by less than a timer's precision. */
const leastMs = 50;
/** A controller that just started needs to miss only two beats and a bit: nobody counts on its patience yet. */
const firstSilentMs = 1500;
/** Standbys wait differently long, so that they do not all stand at once. */
const jitterMs = 400;
/** After a resignation, and on an empty log, nothing is being interrupted. */
const promptMs = 200;

export class BeatWatch {
  private readonly context: Context;
  private heardAt: number;
  private lookedAt: number;
  private heardAny = false;
  private leaderAt: number | null = null;
  private resigned = false;
  /** Whose beat came last. */
  private newest: Pick<LeaderBeat, "logId" | "epoch"> | null = null;
  /** Has who waits for silence look again. */
  private wake: () => void = () => {};
  private readonly cancels: Cancel[] = [];

  constructor(context: Context) {
    this.context = context;
    this.heardAt = context.clock.mono();
    this.lookedAt = this.heardAt;
  }

  start(): void {
    const { bus, subjects, clock } = this.context;
    this.cancels.push(
      bus.subscribe(subjects.leader, (message) => {
        const beat = bodyOf(message);
        if (leaderBeat(beat)) this.onBeat(beat);
        else this.context.counters.dropped++;
      }),
      // Silence while the own connection is down says nothing about the leader.
      bus.onState(() => this.excuse()),
      clock.every(lookMs, () => this.look()),
    );
  }

  stop(): void {
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  /** Milliseconds since a beat of a leader came, this process's own included; null before the first. */
  leaderAgoMs(): number | null {
    return this.leaderAt === null ? null : this.context.clock.mono() - this.leaderAt;
  }

  /** A leader that goes on leading was heard after that monotonic time. */
  heardSince(time: number): boolean {
    return this.leaderAt !== null && this.leaderAt > time && !this.resigned;
  }

  /** Someone was elected or heard: silence is counted from now. */
  heard(): void {
    this.heardAny = true;
    this.resigned = false;
    this.excuse();
  }

  /**
   * Resolves when it is time to stand: nobody was heard for long enough. Rejects when `signal` aborts.
   * `emptyLog`: there was never a leader whose silence would have to be waited for.
   */
  silence(emptyLog: boolean, signal: AbortSignal): Promise<void> {
    const { clock, random, bus } = this.context;
    const jitter = random.next();
    return new Promise((resolve, reject) => {
      let cancel: Cancel = () => {};
      const end = (settle: () => void): void => {
        cancel();
        this.wake = () => {};
        signal.removeEventListener("abort", onAbort);
        settle();
      };
      const onAbort = (): void => end(() => reject(signal.reason as Error));
      const look = (): void => {
        this.look();
        cancel();
        const prompt = this.resigned || (emptyLog && !this.heardAny);
        const patience = this.heardAny ? limits.leaderSilentMs : firstSilentMs;
        const due = prompt ? jitter * promptMs : patience + jitter * jitterMs;
        const left = this.heardAt + due - clock.mono();
        const isConnected = bus.state() === "connected";
        if (isConnected && left <= 0) end(resolve);
        else cancel = clock.after(isConnected ? Math.max(left, leastMs) : leastMs, look);
      };
      this.wake = look;
      look();
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  private onBeat(beat: LeaderBeat): void {
    const { logId, epoch } = beat;
    const isOlder = logId === this.newest?.logId && epoch < this.newest.epoch;
    // A farewell that comes late, after the next leader's first beat, is nobody's who leads.
    if (isOlder && beat.resigned === true) return;
    this.newest = { logId, epoch };
    this.heard();
    this.leaderAt = this.context.clock.mono();
    this.resigned = beat.resigned === true;
    if (this.resigned) this.wake();
  }

  /**
   * Takes off the time in which the own loop stood still, and no more: one that stands still again and again would never find
   * anybody silent. What was left to wait is left still, and beats that came meanwhile are read before that is over.
   */
  private look(): void {
    const now = this.context.clock.mono();
    const gap = now - this.lookedAt;
    if (gap > stallMs) this.heardAt = Math.min(now, this.heardAt + gap);
    this.lookedAt = now;
  }

  private excuse(): void {
    this.heardAt = this.context.clock.mono();
  }
}
