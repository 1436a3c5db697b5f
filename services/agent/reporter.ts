// Brings the states of pods to the leader: the latest of each pod, one report in flight, again and again until it is
// acknowledged. Bounded by the number of pods. A report is numbered anew on every try, so that a late copy of an older
// one is refused. Called by `agent.ts`.
import type { PodReport, Report } from "../../schemas/generated/types.ts";
import { apiError } from "../../schemas/generated/messages.js";
import type { Bus, BusMessage } from "../bus/port.ts";
import { limits } from "../bus/limits.ts";
import type { Key } from "../core/model.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import { bounds, requestBackoff } from "./bounds.ts";
import type { Meter } from "./figures.ts";

interface ReporterPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter: Meter;
  readonly bootId: string;
  readonly subject: string;
  /** The log followed; empty while none is, and then nothing is reported. */
  logId(): string;
  /** The leader wants every state anew. */
  onResend(): void;
}

type Outcome = { readonly done: true } | { readonly done: false; readonly afterMs: number };

export class Reporter {
  private readonly ports: ReporterPorts;
  private readonly waiting = new Map<Key, PodReport>();
  private bus: Bus | null = null;
  private sequence = 0;
  private acknowledged = 0;
  private failures = 0;
  private timer: Cancel | null = null;
  private sending = false;

  constructor(ports: ReporterPorts) {
    this.ports = ports;
  }

  /** Sequence of the last acknowledged report. */
  get reported(): number {
    return this.acknowledged;
  }

  /** Pods whose state is not acknowledged. */
  get waitingCount(): number {
    return this.waiting.size;
  }

  get inFlight(): number {
    return this.sending ? 1 : 0;
  }

  /** The state replaces an earlier one of the same pod that was not acknowledged yet. */
  add(key: Key, report: PodReport): void {
    this.waiting.set(key, report);
    this.plan(bounds.reportGatherMs);
  }

  /** Nothing is said of this pod any more. */
  drop(key: Key): void {
    this.waiting.delete(key);
  }

  attach(bus: Bus): void {
    this.bus = bus;
    this.soon();
  }

  /** The way to the leader may be open again. */
  soon(): void {
    this.failures = 0;
    this.timer?.();
    this.timer = null;
    this.plan(0);
  }

  close(): void {
    this.bus = null;
    this.timer?.();
    this.timer = null;
    this.waiting.clear();
  }

  private plan(ms: number): void {
    if (this.bus === null || this.sending || this.timer !== null || this.waiting.size === 0) return;
    this.timer = this.ports.clock.after(ms, () => {
      this.timer = null;
      void this.send();
    });
  }

  private async send(): Promise<void> {
    const logId = this.ports.logId();
    const bus = this.bus;
    // Without a log there is nobody to report to; the first assignment calls `soon`.
    if (bus === null || logId === "" || this.waiting.size === 0) return;
    this.sending = true;
    const batch = this.batch();
    this.sequence += 1;
    const report: Report = {
      bootId: this.ports.bootId,
      sequence: this.sequence,
      logId,
      pods: batch.map(([, pod]) => pod),
    };
    const outcome = await this.exchange(bus, report);
    this.sending = false;
    if (outcome.done) {
      this.failures = 0;
      this.ports.meter.reports += 1;
      this.acknowledged = report.sequence;
      for (const [key, pod] of batch) if (this.waiting.get(key) === pod) this.waiting.delete(key);
      this.plan(bounds.reportGatherMs);
    } else {
      this.failures += 1;
      this.ports.meter.reportErrors += 1;
      this.plan(outcome.afterMs);
    }
  }

  /** As many states as fit a message, those that wait longest first. */
  private batch(): [Key, PodReport][] {
    const batch: [Key, PodReport][] = [];
    let bytes = 0;
    for (const entry of this.waiting) {
      // Code units are a fair measure: nearly all of it is ASCII.
      bytes += JSON.stringify(entry[1]).length;
      if (batch.length > 0 && (bytes > limits.pageBytes || batch.length >= bounds.reportPods)) break;
      batch.push(entry);
    }
    return batch;
  }

  private async exchange(bus: Bus, report: Report): Promise<Outcome> {
    const wait = jitteredMs(requestBackoff, this.failures, this.ports.random);
    try {
      const answer = await bus.request(this.ports.subject, report, { timeoutMs: limits.requestTimeoutMs });
      return this.judge(answer, wait);
    } catch (error) {
      const { code, message } = asSwainError(error);
      // A missing leader is ordinary for a moment; it is worth a line when it lasts.
      if (this.failures === 3) this.ports.log.warn("reports are not acknowledged", { code, message });
      return { done: false, afterMs: wait };
    }
  }

  private judge(answer: BusMessage, wait: number): Outcome {
    const value = answer.json();
    if (apiError(value)) {
      const { code, message, retryAfterMs } = value.error;
      // A node that is not registered yet, and a busy leader, are ordinary for a moment.
      const ordinary = code === "BUSY" || code === "NOT_FOUND";
      if (!ordinary && this.failures === 0) this.ports.log.warn("the leader refused a report", { code, message });
      return { done: false, afterMs: Math.max(wait, Math.min(retryAfterMs ?? 0, requestBackoff.maxMs)) };
    }
    if (typeof value !== "object" || value === null || !("accepted" in value)) return { done: false, afterMs: wait };
    if ("resend" in value && value.resend === true) this.ports.onResend();
    return { done: true };
  }
}
