// The connections of one service at this proxy, over all of its ports: how many there are, and how many there may be.
import type { Clock } from "../kernel/clock.ts";
import { WaitingLine } from "./waiting.ts";

export class ServiceLoad {
  /** Infinity where the service says none. */
  limit = Infinity;
  open = 0;
  /** Taken from clients so far. */
  total = 0;
  /** Closed because the service or all of its backends were full for too long. */
  refused = 0;
  /** Closed because no backend took them. */
  failed = 0;
  /** Bytes that clients sent and got over connections that are finished. */
  bytesIn = 0;
  bytesOut = 0;
  /** Clients waiting for room; those of a full backend wait in their route's line. */
  readonly line: WaitingLine;

  constructor(clock: Clock) {
    this.line = new WaitingLine(clock);
  }

  /** True when there is room now, and nobody waits for it. */
  enter(): boolean {
    return this.line.size === 0 && this.take();
  }

  /** True as soon as there is room, false when there is none in time. */
  wait(): Promise<boolean> {
    return this.line.take(() => this.take());
  }

  leave(): void {
    this.open -= 1;
    if (this.line.size > 0) this.line.retry();
  }

  /** Takes the limit as it is now; open connections stay. */
  allow(limit: number): void {
    this.limit = limit;
    this.line.retry();
  }

  private take(): boolean {
    if (this.open >= this.limit) return false;
    this.open += 1;
    return true;
  }
}
