// The backends of one service port and whose turn it is. State without I/O; time is passed in.
// Any run of round-robin picks over an unchanged list gives each backend the same number ±1; a change moves nobody else's
// turn.
import { Backend, barredTier } from "./backend.ts";
import type { BackendAddress } from "./backends.ts";
import { bySource, leastConnections } from "./balance.ts";
import { afterFailure, afterSuccess } from "./ejection.ts";
import { proxyLimits } from "./limits.ts";
import { plainTraffic } from "./traffic.ts";
import type { Traffic } from "./traffic.ts";

/** `full`: there are backends, but each has as many connections as it may. */
export type Picked = Backend | "full" | undefined;

export class Rotation {
  /** How to choose; may change at any time. */
  traffic: Traffic = plainTraffic;
  private backends: Backend[] = [];
  private readonly byIdentity = new Map<string, Backend>();
  /** Those that went with connections open, as long as some are: one that comes back has them still. */
  private readonly away = new Map<string, Backend>();
  private readonly countByPod = new Map<string, number>();
  private readonly start: number;
  private next = 0;

  /** `start` in [0, 1) chooses who is first, so that many proxies do not all begin with the same backend. */
  constructor(start: number) {
    this.start = start;
  }

  get size(): number {
    return this.backends.length;
  }

  get all(): readonly Backend[] {
    return this.backends;
  }

  /** True when the pod is an endpoint here. */
  hasPod(pod: string): boolean {
    return this.countByPod.has(pod);
  }

  /**
   * Takes the addresses as they are now; gives the backends that went. Those that stay keep their turn and their past, and
   * one that comes back before its last connection is over keeps its past, too.
   */
  update(addresses: readonly BackendAddress[]): Backend[] {
    const wanted = new Map(addresses.map((address) => [identityOf(address), address]));
    const gone: Backend[] = [];
    const kept: Backend[] = [];
    let next = this.next;
    for (const [index, backend] of this.backends.entries()) {
      if (wanted.has(identityOf(backend))) kept.push(backend);
      else {
        gone.push(backend);
        if (index < this.next) next -= 1;
      }
    }
    const first = kept.length === 0;
    for (const [identity, { open }] of this.away) if (open === 0) this.away.delete(identity);
    for (const backend of gone) this.leave(backend);
    for (const [identity, address] of wanted) if (!this.byIdentity.has(identity)) kept.push(this.join(address));
    this.backends = kept;
    this.next = first ? Math.floor(this.start * kept.length) : next % kept.length;
    return gone;
  }

  /**
   * The backend for a new connection, of those not yet tried; undefined when there is none. `source` is the client's
   * address, which only `balance: source` looks at.
   */
  pick(now: number, tried?: ReadonlySet<Backend>, source?: string): Picked {
    const { backends, traffic } = this;
    const count = backends.length;
    if (traffic.balance === "round-robin") {
      for (let step = 0; step < count; step += 1) {
        const index = (this.next + step) % count;
        const backend = backends[index];
        if (backend === undefined || tried?.has(backend) || backend.tier(now) > 0) continue;
        if (backend.open < traffic.maxPerBackend) return this.take(index, now);
      }
    }
    return this.pickCarefully(now, tried, source);
  }

  /** A connect to the backend failed: it is left out for a while. True when it was ejected by the service's rule. */
  failed(backend: Backend, now: number): boolean {
    const { ejections } = backend.past;
    const isLast = !this.backends.some((other) => other !== backend && other.tier(now) < 2);
    backend.failed += 1;
    backend.past = afterFailure(backend.past, now, this.traffic.ejection, isLast);
    return backend.past.ejections > ejections;
  }

  /** A connect to the backend worked. */
  succeeded(backend: Backend): void {
    backend.past = afterSuccess(backend.past);
  }

  /** Among the best that are left, whatever state they are in. */
  private pickCarefully(now: number, tried: ReadonlySet<Backend> | undefined, source: string | undefined): Picked {
    const { backends, traffic } = this;
    let best = barredTier - 1;
    let places: number[] = [];
    for (let step = 0; step < backends.length; step += 1) {
      const index = (this.next + step) % backends.length;
      const backend = backends[index];
      if (backend === undefined || tried?.has(backend)) continue;
      const tier = backend.tier(now);
      if (tier < best) places = [];
      if (tier > best) continue;
      best = tier;
      places.push(index);
    }
    if (places.length === 0) return undefined;
    const free = places.filter((index) => (backends[index]?.open ?? 0) < traffic.maxPerBackend);
    const candidates = free.flatMap((index) => backends[index] ?? []);
    const chosen =
      traffic.balance === "source" && source !== undefined
        ? bySource(candidates, source)
        : traffic.balance === "least-connections"
          ? leastConnections(candidates)
          : 0;
    const index = free[chosen];
    return index === undefined ? "full" : this.take(index, now);
  }

  private take(index: number, now: number): Backend | undefined {
    this.next = (index + 1) % this.backends.length;
    const backend = this.backends[index];
    // One connection finds out whether a failed backend is back; the others do not wait for it.
    if (backend !== undefined && backend.past.failures > 0) {
      const asideUntil = Math.max(backend.past.asideUntil, now + proxyLimits.connectMs);
      backend.past = { ...backend.past, asideUntil };
    }
    return backend;
  }

  private join(address: BackendAddress): Backend {
    const identity = identityOf(address);
    const backend = this.away.get(identity) ?? new Backend(address);
    this.away.delete(identity);
    backend.current = true;
    // Nobody checked it meanwhile.
    backend.health = undefined;
    backend.checkFailure = "";
    this.byIdentity.set(identity, backend);
    if (!backend.external) this.countByPod.set(backend.pod, (this.countByPod.get(backend.pod) ?? 0) + 1);
    return backend;
  }

  private leave(backend: Backend): void {
    const identity = identityOf(backend);
    backend.current = false;
    this.byIdentity.delete(identity);
    if (backend.open > 0) this.away.set(identity, backend);
    if (backend.external) return;
    const count = (this.countByPod.get(backend.pod) ?? 1) - 1;
    if (count === 0) this.countByPod.delete(backend.pod);
    else this.countByPod.set(backend.pod, count);
  }
}

const identityOf = ({ pod, external = false, host, port }: BackendAddress): string =>
  `${pod} ${external ? "external" : ""} ${host} ${port}`;
