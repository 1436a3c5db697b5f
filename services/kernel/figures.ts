// Figures of a process as plain values: families with fixed names, and samples taken when somebody looks. Parts count into
// `Tally` and `Timings`; `kernel/node/prometheus.ts` turns figures into text. It knows no orchestration and no format.

/** A named measure. Names and units follow Prometheus' conventions: base units, `_total` on counters. */
export interface Family {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  /** One sentence for people. */
  readonly help: string;
  readonly labels: readonly string[];
}

export interface Sample {
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: "_bucket" | "_sum" | "_count";
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A family with its values now. */
export interface Figure {
  readonly family: Family;
  readonly samples: readonly Sample[];
}

/** Label values come from closed lists; should one not, a family still never has more series than this. */
const seriesMost = 200;
const overflow = "other";

export const counter = (name: string, help: string, labels: readonly string[] = []): Family => ({
  name,
  kind: "counter",
  help,
  labels,
});

export const gauge = (name: string, help: string, labels: readonly string[] = []): Family => ({
  name,
  kind: "gauge",
  help,
  labels,
});

export const histogram = (name: string, help: string): Family => ({ name, kind: "histogram", help, labels: [] });

/** A figure without labels. */
export const figure = (family: Family, value: number): Figure => ({ family, samples: [{ labels: {}, value }] });

/** A figure with one sample per entry; the key is the value of the family's only label. */
export function figures(family: Family, values: Iterable<readonly [string, number]>): Figure {
  const label = family.labels[0] ?? "name";
  return { family, samples: [...values].map(([key, value]) => ({ labels: { [label]: key }, value })) };
}

/** Counts by one or more labels. */
export class Tally {
  private readonly labels: readonly string[];
  private readonly series = new Map<string, { labels: Record<string, string>; value: number }>();

  constructor(labels: readonly string[]) {
    this.labels = labels;
  }

  /** Adds one to the series with these label values, in the order of the labels. */
  add(...values: readonly string[]): void {
    const key = values.join("\n");
    const known = this.series.get(key);
    if (known !== undefined) {
      known.value += 1;
      return;
    }
    if (this.series.size >= seriesMost && values[0] !== overflow) {
      this.add(...this.labels.map(() => overflow));
      return;
    }
    const labels = Object.fromEntries(this.labels.map((label, at) => [label, values[at] ?? ""]));
    this.series.set(key, { labels, value: 1 });
  }

  of(family: Family): Figure {
    return { family, samples: [...this.series.values()].map((one) => ({ ...one, labels: { ...one.labels } })) };
  }
}

/** Buckets in seconds for what takes from a fraction of a millisecond to a request's time limit. */
const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts durations into buckets. */
export class Timings {
  /** One more than there are bounds: the last counts what is longer than all of them. */
  private readonly counts = Array.from({ length: bounds.length + 1 }, () => 0);
  private sum = 0;

  /** Adds a duration in milliseconds, as clocks here measure. */
  add(ms: number): void {
    const seconds = ms / 1000;
    const at = bounds.findIndex((bound) => seconds <= bound);
    const index = at < 0 ? bounds.length : at;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += seconds;
  }

  of(family: Family): Figure {
    let total = 0;
    const samples: Sample[] = this.counts.map((count, at) => {
      total += count;
      return { suffix: "_bucket", labels: { le: String(bounds[at] ?? "+Inf") }, value: total };
    });
    samples.push({ suffix: "_sum", labels: {}, value: this.sum }, { suffix: "_count", labels: {}, value: total });
    return { family, samples };
  }
}
