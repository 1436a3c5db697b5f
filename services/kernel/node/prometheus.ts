// Figures as the Prometheus text format, by prom-client; the only file that knows it. Imported when a process serves
// figures, so that no other process pays for it.
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { Figure } from "../figures.ts";

/** The text of a look. */
export interface FigureText {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Hands over values that were counted elsewhere; a Gauge only because the registry wants one of its classes. */
class Given extends Gauge {
  private readonly figure: Figure;

  constructor(figure: Figure) {
    const { name, help } = figure.family;
    super({ name, help, registers: [] });
    this.figure = figure;
  }

  override get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const { name, help, kind } = this.figure.family;
    const values = this.figure.samples.map(({ labels, value, suffix = "" }) => ({
      labels: { ...labels },
      value,
      metricName: `${name}${suffix}`,
    }));
    // Its types number the kinds; its text wants their names, which is also what its own metrics give.
    const type = kind as unknown as MetricObjectWithValues<MetricValue<string>>["type"];
    return Promise.resolve({ name, help, type, aggregator: "sum", values, collect: () => {} });
  }
}

/** The process's own figures (CPU, memory, event loop lag) and what `figures` gives at each look. */
export function figureText(figures: () => readonly Figure[]): FigureText {
  const own = new Registry();
  collectDefaultMetrics({ register: own });
  return {
    contentType: own.contentType,
    async text() {
      const given = new Registry();
      for (const figure of figures()) given.registerMetric(new Given(figure));
      return Registry.merge([own, given]).metrics();
    },
  };
}
