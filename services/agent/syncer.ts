// Asks the leader for the whole assignment, page by page: at the start, after a reconnect, on a slow timer, and when
// something did not fit. Called by `agent.ts`, which judges what comes.
import type { Assign, Sync } from "../../schemas/generated/types.ts";
import { apiError, assign as isAssign } from "../../schemas/generated/messages.js";
import type { Bus } from "../bus/port.ts";
import { limits } from "../bus/limits.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError, isCode, SwainError } from "../kernel/errors.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import { isSameTelling, joinPages } from "./assignment.ts";
import { bounds, requestBackoff } from "./bounds.ts";

interface SyncerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly subject: string;
  held(): { readonly logId: string; readonly generation: number };
  /** Everything this node should run. */
  onWhole(assignment: Assign): Promise<void>;
  /** The leader says that it leads another log than the one followed. */
  onForeign(error: SwainError): void;
}

export class Syncer {
  private readonly ports: SyncerPorts;
  private bus: Bus | null = null;
  private timer: Cancel | null = null;
  private running = false;
  private again = false;
  private failures = 0;

  constructor(ports: SyncerPorts) {
    this.ports = ports;
  }

  attach(bus: Bus): void {
    this.bus = bus;
    this.now();
  }

  close(): void {
    this.bus = null;
    this.timer?.();
    this.timer = null;
  }

  /** Asks at once; while one sync runs, another follows it. */
  now(): void {
    this.again = true;
    if (this.running || this.bus === null) return;
    this.running = true;
    this.timer?.();
    this.timer = null;
    void this.run();
  }

  private async run(): Promise<void> {
    let wait = 0;
    while (this.again && this.bus !== null) {
      this.again = false;
      wait = await this.once(this.bus);
    }
    this.running = false;
    if (this.bus === null) return;
    this.timer = this.ports.clock.after(wait, () => this.now());
  }

  /** One sync; returns how long to wait for the next. */
  private async once(bus: Bus): Promise<number> {
    const { log, random } = this.ports;
    try {
      const whole = await this.pull(bus);
      await this.ports.onWhole(whole);
      this.failures = 0;
      return limits.resyncMs * (0.8 + 0.4 * random.next());
    } catch (error) {
      const known = asSwainError(error);
      if (known.code === "LOG_UNKNOWN") {
        this.ports.onForeign(known);
        return limits.resyncMs * (0.8 + 0.4 * random.next());
      }
      if (this.failures === 3) {
        log.warn("the assignment could not be taken", { code: known.code, message: known.message });
      }
      this.failures += 1;
      return jitteredMs(requestBackoff, this.failures - 1, random);
    }
  }

  private async pull(bus: Bus): Promise<Assign> {
    for (let round = 0; round < bounds.syncRestarts; round += 1) {
      const pages = await this.pages(bus);
      const whole = joinPages(pages);
      if (whole !== null) return whole;
    }
    throw new SwainError("BUSY", "the assignment changed while its pages were read");
  }

  /** All pages of one generation; stops early when the generation, or the leader, changes between two. */
  private async pages(bus: Bus): Promise<Assign[]> {
    const pages: Assign[] = [];
    let after: string | undefined;
    for (let count = 0; count < bounds.syncPages; count += 1) {
      const { logId, generation } = this.ports.held();
      const request: Sync = { logId, generation, ...(after === undefined ? {} : { after }) };
      const answer = await bus.request(this.ports.subject, request, { timeoutMs: limits.requestTimeoutMs });
      const page = answer.json();
      if (!isAssign(page)) throw refusalOf(page);
      pages.push(page);
      if (page.next === undefined || !isSameTelling(page, pages[0] ?? page)) return pages;
      after = page.next;
    }
    throw new SwainError("INVALID_REQUEST", "the assignment has no last page");
  }
}

/** The leader's refusal as an error. */
function refusalOf(answer: unknown): SwainError {
  if (apiError(answer) && isCode(answer.error.code)) return new SwainError(answer.error.code, answer.error.message);
  return new SwainError("INVALID_REQUEST", "the leader did not answer with an assignment");
}
