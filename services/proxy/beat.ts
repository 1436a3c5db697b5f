// The proxy's heartbeat: each second, and soon after something changed that somebody waits for. Only what changed is told,
// and everything now and then, so that a proxy of a thousand services does not repeat them all each second.
import type { ProxyHeartbeat } from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import type { Bus } from "../bus/port.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Ids } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import { proxyLimits } from "./limits.ts";

interface BeatPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly bus: Bus;
  readonly log: Logger;
}

/** What heartbeats tell. */
export interface BeatSource {
  /** Brings everything up to date: what is acknowledged must have been applied. */
  settle(): void;
  /** Every service served. */
  served(): Iterable<string>;
  /** Per part of the service the sequence applied; undefined when it is served no more. */
  applied(service: string): Record<string, number> | undefined;
  /** Open connections per pod that is no endpoint any more. */
  open(): Record<string, number>;
}

export class Beat {
  private readonly ports: BeatPorts;
  private readonly subject: string;
  private readonly source: BeatSource;
  private readonly bootId: string;
  private readonly cancelTimer: Cancel;
  private readonly changed = new Set<string>();
  private cancelSoon: Cancel | undefined;
  private number = 0;
  private sentAt = -Infinity;
  private wholeAt = -Infinity;
  private saidAt = -Infinity;
  private over = false;

  constructor(ports: BeatPorts, subject: string, source: BeatSource) {
    this.ports = ports;
    this.bootId = ports.ids.next();
    this.subject = subject;
    this.source = source;
    this.cancelTimer = ports.clock.every(limits.heartbeatMs, () => this.beat());
    this.soon();
  }

  /** The service has other parts than the last heartbeat told, or is served no more. */
  tell(service: string): void {
    this.changed.add(service);
    this.soon();
  }

  /** Tells everything again, as to a server that may have lost some. */
  tellAll(): void {
    this.wholeAt = -Infinity;
    this.soon();
  }

  /** Sends at the end of this turn, so that all changes of one turn are one message. */
  soon(): void {
    if (this.over || this.cancelSoon !== undefined) return;
    const gap = this.sentAt + proxyLimits.beatGapMs - this.ports.clock.mono();
    this.cancelSoon = this.ports.clock.after(Math.max(0, gap), () => this.beat());
  }

  /** The last one: no service is served any more, nobody needs to wait for this proxy. */
  goodbye(): void {
    this.cancelTimer();
    this.over = true;
    this.send({ services: {}, open: {}, leaving: true });
  }

  private beat(): void {
    const { source, changed } = this;
    source.settle();
    const isWhole = this.ports.clock.mono() - this.wholeAt >= proxyLimits.wholeBeatMs;
    const services: ProxyHeartbeat["services"] = {};
    const dropped: string[] = [];
    for (const service of isWhole ? source.served() : changed) {
      const applied = source.applied(service);
      if (applied === undefined) dropped.push(service);
      else services[service] = applied;
    }
    const open = source.open();
    const partial = { partial: true, ...(dropped.length === 0 ? {} : { dropped }) };
    this.number += 1;
    const sent = this.send({ services, open, number: this.number, ...(isWhole ? {} : partial) });
    changed.clear();
    // What was not sent is in the next whole one.
    if (!sent) this.wholeAt = -Infinity;
    else if (isWhole) this.wholeAt = this.sentAt;
  }

  private send(heartbeat: ProxyHeartbeat): boolean {
    this.cancelSoon?.();
    this.cancelSoon = undefined;
    const { bus, clock, log } = this.ports;
    this.sentAt = clock.mono();
    try {
      bus.publish(this.subject, { bootId: this.bootId, ...heartbeat });
      return true;
    } catch (error) {
      if (clock.mono() - this.saidAt < proxyLimits.repeatLogMs) return false;
      this.saidAt = clock.mono();
      log.error("the heartbeat cannot be sent", { error: asSwainError(error).message });
      return false;
    }
  }
}
