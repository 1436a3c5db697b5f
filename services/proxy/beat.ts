// The proxy's heartbeat: each second, and soon after something changed that somebody waits for.
import type { ProxyHeartbeat } from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import type { Bus } from "../bus/port.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { proxyLimits } from "./limits.ts";

interface BeatPorts {
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Logger;
}

export class Beat {
  private readonly ports: BeatPorts;
  private readonly subject: string;
  private readonly current: () => ProxyHeartbeat;
  private readonly cancelTimer: Cancel;
  private cancelSoon: Cancel | undefined;
  private sentAt = -Infinity;
  private saidAt = -Infinity;
  private over = false;

  constructor(ports: BeatPorts, subject: string, current: () => ProxyHeartbeat) {
    this.ports = ports;
    this.subject = subject;
    this.current = current;
    this.cancelTimer = ports.clock.every(limits.heartbeatMs, () => this.send(this.current()));
    this.soon();
  }

  /** Sends at the end of this turn, so that all changes of one turn are one message. */
  soon(): void {
    if (this.over || this.cancelSoon !== undefined) return;
    const gap = this.sentAt + proxyLimits.beatGapMs - this.ports.clock.mono();
    this.cancelSoon = this.ports.clock.after(Math.max(0, gap), () => this.send(this.current()));
  }

  /** The last one: no service is served any more, nobody needs to wait for this proxy. */
  goodbye(): void {
    this.cancelTimer();
    this.over = true;
    this.send({ services: {}, open: {} });
  }

  private send(heartbeat: ProxyHeartbeat): void {
    this.cancelSoon?.();
    this.cancelSoon = undefined;
    const { bus, clock, log } = this.ports;
    this.sentAt = clock.mono();
    try {
      bus.publish(this.subject, heartbeat);
    } catch (error) {
      if (clock.mono() - this.saidAt < proxyLimits.repeatLogMs) return;
      this.saidAt = clock.mono();
      log.error("the heartbeat cannot be sent", { error: asSwainError(error).message });
    }
  }
}
