// Asks the leader each second whether it counts this node as heard, as long as there are fenced pods, and knows since when
// it was granted. Asks as well where an earlier leader speaks than the newest one followed: the answer tells whether the log
// has lost that one. The lease runs from the moment a request was sent: whatever heard it, heard it later. It stops no pod
// itself: `pod/fence.ts` decides that, and the runners do it. Called by `agent.ts`.
import { apiError, leaseReply } from "../../schemas/generated/messages.js";
import type { LeaseRequest } from "../../schemas/generated/types.ts";
import type { Bus } from "../bus/port.ts";
import { leaseWorth } from "../core/lease.ts";
import type { Key } from "../core/model.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { bounds } from "./bounds.ts";
import type { Lease } from "./pod/fence.ts";

interface LeaserPorts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly bootId: string;
  readonly subject: string;
  /** What was told last. */
  told(): { readonly logId: string; readonly epoch: number; readonly generation: number };
  /** The newest leader that was followed, or told that. */
  newest(): { readonly epoch: number; readonly term: string };
  /** True while there are pods that need a lease. */
  isNeeded(): boolean;
  /** The assignment told last is older than the one the leader speaks of. */
  onBehind(): void;
  /** The log lost what is held, and the newest leader that was followed: that one leads now. */
  onLost(epoch: number): void;
  /** There is a lease again after a time without. */
  onRegained(): void;
  /** Time passed: pods may have to be stopped. */
  onTick(): void;
}

export class Leaser {
  private readonly ports: LeaserPorts;
  private readonly cancel: Cancel;
  private bus: Bus | null = null;
  private inFlight = 0;
  private current: Lease;
  /** Pods for which nothing that is granted now counts, and what was granted before. */
  private excepted: ReadonlyMap<Key, Lease> = new Map();
  private lookedAt: { readonly mono: number; readonly wall: number };
  /** Monotonic time at which the machine was seen to have slept. */
  private wokeAt = -Infinity;
  /** Whether the newest leader that was followed is still in the log is not known. */
  private doubted = false;
  /** A line was written for the lease that is missing now. */
  private said = false;

  constructor(ports: LeaserPorts) {
    this.ports = ports;
    const { clock } = ports;
    this.current = { grantedAt: null, adoptedAt: clock.mono(), sleptAt: null };
    this.lookedAt = { mono: clock.mono(), wall: clock.wall() };
    this.cancel = clock.every(bounds.leaseMs, () => this.tick());
  }

  /** What was granted that counts for this pod. */
  lease(pod: Key): Lease {
    return this.excepted.get(pod) ?? this.current;
  }

  /** From now on nothing that is granted counts for these pods, and for them alone. */
  except(pods: ReadonlySet<Key>): void {
    const before = this.excepted;
    this.excepted = new Map([...pods].map((pod) => [pod, before.get(pod) ?? this.current]));
  }

  attach(bus: Bus): void {
    this.bus = bus;
    this.now();
  }

  close(): void {
    this.bus = null;
    this.cancel();
  }

  /** Asks without waiting for the next second: something new needs a lease, or the way to the leader is open again. */
  now(): void {
    if (this.doubted || this.ports.isNeeded()) void this.ask();
  }

  /** An earlier leader spoke: late, or because the log lost the newest one. */
  doubt(): void {
    if (this.doubted) return;
    this.doubted = true;
    this.now();
  }

  private tick(): void {
    this.noticeSleep();
    if (this.ports.isNeeded()) this.ports.onTick();
    this.now();
  }

  /**
   * A machine that slept has a clock that stood still, and its pods may run elsewhere by now. The other clock went on: what
   * was granted before counts but for a moment more. A clock that was only set costs nothing but the next answer.
   */
  private noticeSleep(): void {
    const { clock } = this.ports;
    const now = { mono: clock.mono(), wall: clock.wall() };
    const jumped = now.wall - this.lookedAt.wall - (now.mono - this.lookedAt.mono);
    this.lookedAt = now;
    if (jumped <= bounds.sleptMs) return;
    this.wokeAt = now.mono;
    // The first one counts: a clock that keeps jumping must not keep a pod running.
    const slept = (lease: Lease): Lease => ({ ...lease, sleptAt: lease.sleptAt ?? now.mono });
    this.current = slept(this.current);
    this.excepted = new Map([...this.excepted].map(([pod, lease]) => [pod, slept(lease)]));
  }

  private async ask(): Promise<void> {
    const { clock, subject, bootId } = this.ports;
    const bus = this.bus;
    const { logId, generation } = this.ports.told();
    if (bus?.state() !== "connected" || logId === "" || this.inFlight >= bounds.leasesInFlight) return;
    const sentAt = clock.mono();
    const request: LeaseRequest = { bootId, logId, ...this.ports.newest(), generation };
    this.inFlight += 1;
    try {
      const answer = await bus.request(subject, request, { timeoutMs: bounds.leaseTimeoutMs });
      this.take(sentAt, answer.json());
    } catch (error) {
      this.missing(asSwainError(error).message);
    } finally {
      this.inFlight -= 1;
    }
  }

  private take(sentAt: number, reply: unknown): void {
    if (!leaseReply(reply)) {
      this.missing(apiError(reply) ? `${reply.error.code}: ${reply.error.message}` : "the answer is no lease");
      return;
    }
    const worth = leaseWorth(this.ports.told(), this.ports.newest().epoch, reply);
    this.doubted = false;
    if (worth === "behind") this.ports.onBehind();
    if (worth === "lost") this.ports.onLost(reply.epoch);
    const { grantedAt, adoptedAt, sleptAt } = this.current;
    // A request that was sent before the machine slept says nothing of now.
    if (worth !== "granted" || sentAt < Math.max(this.wokeAt, grantedAt ?? -Infinity)) return;
    this.current = { grantedAt: sentAt, adoptedAt, sleptAt: null };
    this.said = false;
    const isRegained = grantedAt === null || sleptAt !== null || sentAt - grantedAt > bounds.leaseLapsedMs;
    if (isRegained) this.ports.onRegained();
  }

  /** A change of leader costs an answer or two; worth a line is what lasts. */
  private missing(why: string): void {
    const { grantedAt, adoptedAt } = this.current;
    if (
      this.said ||
      !this.ports.isNeeded() ||
      this.ports.clock.mono() - (grantedAt ?? adoptedAt) < bounds.leaseLapsedMs
    )
      return;
    this.said = true;
    this.ports.log.warn("no leader answers for the fenced pods of this node", { code: "FENCED", message: why });
  }
}
