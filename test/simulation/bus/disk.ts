// The server's disk where each write is synced: one write after the other, each acknowledged when it is down. What comes while
// one is under way goes down together, as in a group commit. What a crash meets on its way is stored or not, and nobody is told.
import type { Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";

interface Write {
  readonly at: number;
  /** Stores, and acknowledges when told to. */
  readonly run: (acknowledged: boolean) => void;
}

export class Disk {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly writeMs: readonly [number, number];
  private readonly isFrozen: () => boolean;
  private writes: Write[] = [];
  private armed = false;

  constructor(clock: Clock, random: Random, writeMs: readonly [number, number], isFrozen: () => boolean) {
    this.clock = clock;
    this.random = random;
    this.writeMs = writeMs;
    this.isFrozen = isFrozen;
  }

  write(run: Write["run"]): void {
    const [least, most] = this.writeMs;
    const now = this.clock.mono();
    const last = this.writes.at(-1)?.at;
    // Those after the first make one batch, which begins when the first is down.
    const begun = this.writes[0]?.at;
    const at =
      last !== undefined && last !== begun ? last : (last ?? now) + least + (most - least) * this.random.next();
    this.writes.push({ at, run });
    this.arm();
  }

  /** A server that goes on after it stood still. */
  resume(): void {
    this.arm();
  }

  /** The first few are stored, the others are not, and none is acknowledged. */
  crash(): void {
    const { writes } = this;
    this.writes = [];
    const stored = Math.floor(this.random.next() * (writes.length + 1));
    for (const { run } of writes.slice(0, stored)) run(false);
  }

  private arm(): void {
    const [first] = this.writes;
    if (first === undefined || this.armed) return;
    this.armed = true;
    this.clock.after(Math.max(0, first.at - this.clock.mono()), () => {
      this.armed = false;
      if (this.isFrozen()) return;
      const now = this.clock.mono();
      // After a crash the timer finds other writes than it was set for.
      while (this.writes[0] !== undefined && this.writes[0].at <= now) this.writes.shift()?.run(true);
      this.arm();
    });
  }
}
