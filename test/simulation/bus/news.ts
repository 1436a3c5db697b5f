// News of endpoints that nobody hears: one record, neither from a consumer nor republished, and nobody is told.
import type { Subjects } from "../../../services/bus/subjects.ts";
import type { Clock } from "../../../services/kernel/clock.ts";
import type { Packet } from "./message.ts";

export class News {
  private readonly clock: Pick<Clock, "mono">;
  private readonly names: Subjects;
  /** When the record was sent whose news gets lost. */
  private lostAt: number | "the next" | undefined;

  constructor(clock: Pick<Clock, "mono">, names: Subjects) {
    this.clock = clock;
    this.names = names;
  }

  loseNext(): void {
    this.lostAt = "the next";
  }

  /** True for news that gets lost: one record, as often as it is sent. */
  isLost({ subject }: Packet): boolean {
    if (this.lostAt === undefined) return false;
    const now = this.clock.mono();
    if (this.lostAt !== "the next" && this.lostAt !== now) {
      this.lostAt = undefined;
      return false;
    }
    const { endpointsAll, buckets } = this.names;
    const isNews = subject.startsWith(endpointsAll.slice(0, -1)) || subject.startsWith(`$KV.${buckets.endpoints}.`);
    if (isNews) this.lostAt = now;
    return isNews;
  }
}
