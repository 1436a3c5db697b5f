// When a proxy says what it serves and carries: every 5 s, and soon after a listener or a backend changed, because people
// and `--wait` look at that. What it says is made by `metrics.ts`.
import { limits } from "../bus/limits.ts";
import type { Bus } from "../bus/port.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { ProxyMetrics } from "../../schemas/generated/types.ts";
import { proxyLimits } from "./limits.ts";

interface ReportPorts {
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Logger;
}

/** What reports tell. */
export interface ReportSource {
  metrics(): ProxyMetrics;
  /** When, on the monotonic clock, the first backend that is left out will be left out no more; Infinity for none. */
  nextReturn(): number;
}

export class Report {
  private readonly ports: ReportPorts;
  private readonly subject: string;
  private readonly source: ReportSource;
  private cancel: Cancel = () => {};
  private dueAt = Infinity;
  private earliest: number;
  private over = false;

  /** The first one follows the first heartbeat: nobody keeps the metrics of a proxy never heard of. */
  constructor(ports: ReportPorts, subject: string, source: ReportSource) {
    this.ports = ports;
    this.subject = subject;
    this.source = source;
    this.earliest = ports.clock.mono() + proxyLimits.reportGapMs;
    this.at(this.earliest);
  }

  /** Something changed: reports as soon as the gap to the last report allows. */
  soon(): void {
    this.at(Math.max(this.ports.clock.mono(), this.earliest));
  }

  stop(): void {
    this.over = true;
    this.cancel();
  }

  private at(time: number): void {
    if (this.over || time >= this.dueAt) return;
    this.cancel();
    this.dueAt = time;
    this.cancel = this.ports.clock.after(Math.max(0, time - this.ports.clock.mono()), () => this.send());
  }

  private send(): void {
    const { clock, bus, log } = this.ports;
    const metrics = this.source.metrics();
    const now = clock.mono();
    this.earliest = now + gapMs(metrics);
    this.dueAt = Infinity;
    this.at(Math.max(this.earliest, Math.min(now + limits.metricsMs, this.source.nextReturn())));
    try {
      bus.publish(this.subject, metrics);
    } catch (error) {
      // The next ones tell the same counters; a server that cannot be reached is said by the heartbeat.
      log.debug("the metrics cannot be sent", { error: asSwainError(error).message });
    }
  }
}

/** Grows with the message, so that changes never cause more bytes a second than the biggest message every 5 s does. */
function gapMs({ routes }: ProxyMetrics): number {
  const entries = routes.reduce((sum, { backends }) => sum + 1 + backends.length, 0);
  return Math.max(proxyLimits.reportGapMs, (limits.metricsMs * entries) / proxyLimits.metricsEntries);
}
