// The leader's part in snapshots: decides when one is due, has it made beside its loop, and cuts the log up to the older of
// the two newest that it has itself been told to be good. Leading never waits for any of it. Called by the term.
import type { ReadState } from "../../core/model.ts";
import { encodeState } from "../../core/snapshot/encode.ts";
import type { Cancel } from "../../kernel/clock.ts";
import { asSwainError, SwainError } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";
import type { SnapshotReport, Verified } from "./port.ts";
import { storedSnapshots } from "./store.ts";

/** The log may hold three intervals and what is kept besides: it must not be full before the older snapshot moves on. */
const shareOfRoom = 8;

export interface KeeperStatus {
  readonly verified: readonly Verified[];
  readonly problem: string | null;
  /** A rebuild that was asked for is not done yet. */
  readonly rebuilding: boolean;
}

export class SnapshotKeeper {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly mayCut: () => boolean;
  private verified: readonly Verified[] = [];
  /** Monotonic time at which the newest of them was first seen here. */
  private newestAt = -Infinity;
  private problem: string | null = null;
  private checked = false;
  private busy = false;
  private ended = false;
  private rebuilding = false;
  /** The log took no more events: everything that may go must go. */
  private full = false;
  private bytes = 0;
  private bytesMost: number;
  private cutUpTo = 0;
  private timer: Cancel | undefined;
  private checking: Cancel | undefined;

  constructor(context: Context, state: ReadState, mayCut: () => boolean) {
    this.context = context;
    this.state = state;
    this.mayCut = mayCut;
    this.bytesMost = context.policy.bytes;
  }

  /** Looks at what is there, before anything is cut on the strength of it. */
  start(): void {
    const { clock, bus, policy } = this.context;
    const again = (): void => {
      this.checked = false;
      this.look();
    };
    const ticking = clock.every(policy.checkMs, again);
    // A server that comes back may have lost what was verified.
    const unwatch = bus.onState(again);
    this.checking = () => {
      ticking();
      unwatch();
    };
    this.look();
  }

  stop(): void {
    this.ended = true;
    this.checking?.();
    this.timer?.();
  }

  onCommitted(bytes: number): void {
    this.bytes += bytes;
    this.look();
  }

  onFull(): void {
    this.full = true;
    this.look();
  }

  /** Makes a new one as soon as can be, leaning on as little of what is there as can be. */
  rebuild(): void {
    this.rebuilding = true;
    this.timer?.();
    this.timer = undefined;
    this.look();
  }

  status(): KeeperStatus {
    const { verified, problem, rebuilding } = this;
    return { verified, problem, rebuilding };
  }

  private look(): void {
    if (this.busy || this.ended || this.timer !== undefined) return;
    if (!this.checked) void this.work(() => this.check());
    // Cutting comes first: where much is written the next snapshot is due when the last one is done.
    else if (this.isCutDue && this.mayCut()) void this.work(() => this.cut());
    else if (this.isDue) void this.work(() => this.make());
  }

  private get isDue(): boolean {
    const { sequence } = this.state;
    const { clock, policy } = this.context;
    const [newest, older] = this.verified;
    if (this.rebuilding || this.problem !== null) return true;
    // Nothing may be cut yet that would make room.
    if (this.full && this.cutTo <= this.cutUpTo && (older?.sequence ?? 0) < sequence) return true;
    // The log is cut up to the newest once it is the older one, and what was before that goes: it is to be on disk by then, unless
    // the log would fill up.
    if (clock.mono() - this.newestAt < policy.apartMs && this.bytes < 2 * this.bytesMost) return false;
    return sequence - (newest?.sequence ?? 0) >= policy.events || this.bytes >= this.bytesMost;
  }

  /** Up to where the log may go. The event at the end of the older snapshot stays: it shows that the two belong together. */
  private get cutTo(): number {
    const older = this.verified[1];
    if (older === undefined) return 0;
    const kept = this.full ? 0 : this.context.policy.kept;
    return Math.min(older.accepted - 1, this.state.sequence - kept);
  }

  private get isCutDue(): boolean {
    const more = this.cutTo - this.cutUpTo;
    // All that can be had; or, while the newest events hinder, not a little with every one of them.
    const isAll = this.full || this.cutTo === (this.verified[1]?.accepted ?? 0) - 1;
    return more > 0 && (isAll || more >= this.context.policy.kept / 2);
  }

  private async work(job: () => Promise<void>): Promise<void> {
    const { clock, log, policy } = this.context;
    this.busy = true;
    try {
      await job();
    } catch (error) {
      const { code, message } = asSwainError(error);
      this.context.counters.snapshotFailures++;
      // A timer set now would keep the process that is to stop.
      if (this.ended) return;
      log.warn("work on snapshots failed", { code: "SNAPSHOT_FAILED", why: code, message });
      this.timer = clock.after(policy.retryMs, () => {
        this.timer = undefined;
        this.look();
      });
    } finally {
      this.busy = false;
    }
    this.look();
  }

  private async check(): Promise<void> {
    const { snapshotter, bus, subjects, policy } = this.context;
    // Asked for again from here on, it is done again: what is read now may be lost by then.
    this.checked = true;
    try {
      const { most } = await bus.log(subjects.stream).room();
      if (most > 0) this.bytesMost = Math.min(policy.bytes, most / shareOfRoom);
      this.take(await snapshotter.check());
    } catch (error) {
      this.checked = false;
      throw error;
    }
  }

  private async make(): Promise<void> {
    const { snapshotter, counters, log, clock } = this.context;
    const { sequence } = this.state;
    const afresh = this.rebuilding;
    const bytes = this.bytes;
    const started = clock.mono();
    const report = await snapshotter.make({ sequence, afresh, lines: null }).catch((error: unknown) => {
      const { code, message } = asSwainError(error);
      if (code !== "LOG_INCOMPLETE") throw error;
      // Nothing on the bus tells the state any more. Writing it down here holds up the loop, for seconds where there are
      // hundreds of thousands of pods; not to have it at the next start would be worse.
      log.error("the state is written down from memory", { code, message });
      return snapshotter.make({ sequence: this.state.sequence, afresh, lines: [...encodeState(this.state)] });
    });
    counters.snapshots++;
    this.bytes -= bytes;
    this.problem = null;
    if (afresh) this.rebuilding = false;
    this.take(report);
    log.info("a snapshot was made and verified", { sequence, ms: Math.round(clock.mono() - started) });
  }

  private take({ verified, problems }: SnapshotReport): void {
    const { clock, counters, log } = this.context;
    const [newest] = verified;
    if (newest === undefined) this.newestAt = -Infinity;
    else if (newest.id !== this.verified[0]?.id) this.newestAt = clock.mono();
    this.verified = verified;
    counters.snapshotSequence = newest?.sequence ?? 0;
    for (const { code, message } of problems) {
      counters.snapshotsBroken++;
      log.warn("a snapshot is made anew", { code, message });
      this.problem ??= `${code}: ${message}`;
    }
  }

  private async cut(): Promise<void> {
    const { bus, subjects, counters, log } = this.context;
    const upTo = this.cutTo;
    if (!(await this.areStored())) {
      this.checked = false;
      throw new SwainError(
        "SNAPSHOT_MISSING",
        "a snapshot that was good is not there any more; the log stays as it is",
      );
    }
    if (this.ended || !this.mayCut()) return;
    await bus.log(subjects.stream).cut(upTo);
    this.cutUpTo = upTo;
    this.full = false;
    counters.cuts++;
    log.info("the log was cut", { upTo, snapshot: this.verified[1]?.sequence });
  }

  /** Of three servers two may have lost what was verified without this leader's connection breaking. */
  private async areStored(): Promise<boolean> {
    const missing = new Set(this.verified.map(({ id }) => id));
    for await (const { id, manifest } of storedSnapshots(this.context)) {
      if (manifest !== null) missing.delete(id);
      if (missing.size === 0) return true;
    }
    return missing.size === 0;
  }
}
