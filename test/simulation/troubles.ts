// What was wrong, where, and when: the record that the observer asks before it blames the cluster.
interface Trouble {
  readonly kind: string;
  readonly from: number;
  /** Infinity while it lasts. */
  to: number;
}

/** Longer ago than this is not asked for. */
const keptMs = 600_000;
const none: ReadonlySet<string> = new Set();

export class Troubles {
  private readonly now: () => number;
  private readonly places = new Map<string, Trouble[]>();

  constructor(now: () => number) {
    this.now = now;
  }

  /** Something is wrong there from now on; the returned function ends it. */
  begin(place: string, kind: string): () => void {
    const trouble: Trouble = { kind, from: this.now(), to: Infinity };
    const kept = this.of(place).filter(({ to }) => to > this.now() - keptMs);
    this.places.set(place, [...kept, trouble]);
    return () => {
      trouble.to = this.now();
    };
  }

  /** True when nothing was wrong there for that long, but for kinds that do no harm. */
  isClean(place: string, ms: number, harmless: ReadonlySet<string> = none): boolean {
    const since = this.now() - ms;
    return this.of(place).every(({ kind, to }) => to < since || harmless.has(kind));
  }

  /** True when that kind of trouble, which may have been over at once, was there within so long. */
  had(place: string, wanted: string, ms: number): boolean {
    return this.of(place).some(({ kind, to }) => kind === wanted && to >= this.now() - ms);
  }

  /** How much of the time since then troubles of that kind and of that length lasted there, milliseconds. */
  lasted(place: string, wanted: string, since: number, leastMs = 0): number {
    let sum = 0;
    // In the order in which they began; some begin before others end.
    let counted = since;
    for (const { kind, from, to } of this.of(place)) {
      const until = Math.min(to, this.now());
      if (kind !== wanted || until - from < leastMs) continue;
      sum += Math.max(0, until - Math.max(from, counted));
      counted = Math.max(counted, until);
    }
    return sum;
  }

  private of(place: string): readonly Trouble[] {
    return this.places.get(place) ?? [];
  }
}
