// Round-robin over the backends of one service port. State without I/O; time is passed in.
// Any run of picks over an unchanged list gives each backend the same number ±1; a change moves nobody else's turn.
import { delayMs } from "../kernel/backoff.ts";
import type { BackendAddress } from "./backends.ts";
import { proxyLimits } from "./limits.ts";

const aside = { firstMs: proxyLimits.asideFirstMs, maxMs: proxyLimits.asideMaxMs, factor: 2 };

/** One backend and what the proxy knows of it. */
export class Backend implements BackendAddress {
  readonly pod: string;
  readonly host: string;
  readonly port: number;
  /** False from the moment it is no endpoint any more; it gets no new connection then. */
  current = true;
  /** Connections open or being opened. */
  open = 0;
  /** Connects failed in a row. */
  failures = 0;
  /** Left out until then (monotonic time), unless nothing else is left. */
  asideUntil = 0;

  constructor({ pod, host, port }: BackendAddress) {
    this.pod = pod;
    this.host = host;
    this.port = port;
  }
}

export class Rotation {
  private backends: Backend[] = [];
  private readonly byIdentity = new Map<string, Backend>();
  private readonly countByPod = new Map<string, number>();
  private next = 0;

  /** `start` in [0, 1) chooses who is first, so that many proxies do not all begin with the same backend. */
  constructor(start: number) {
    this.start = start;
  }

  private readonly start: number;

  get size(): number {
    return this.backends.length;
  }

  /** True when the pod is an endpoint here. */
  hasPod(pod: string): boolean {
    return this.countByPod.has(pod);
  }

  /** Takes the addresses as they are now; gives the backends that went. Those that stay keep their turn and their past. */
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
    for (const backend of gone) this.leave(backend);
    for (const [identity, address] of wanted) if (!this.byIdentity.has(identity)) kept.push(this.join(address));
    this.backends = kept;
    this.next = first ? Math.floor(this.start * kept.length) : next % kept.length;
    return gone;
  }

  /** The backend whose turn it is, of those not yet tried; undefined when there is none. */
  pick(now: number, tried?: ReadonlySet<Backend>): Backend | undefined {
    const { backends } = this;
    const count = backends.length;
    let fallback = -1;
    for (let step = 0; step < count; step += 1) {
      const index = (this.next + step) % count;
      const backend = backends[index];
      if (backend === undefined || tried?.has(backend)) continue;
      if (backend.asideUntil <= now) return this.take(index, now);
      if (fallback < 0) fallback = index;
    }
    return fallback < 0 ? undefined : this.take(fallback, now);
  }

  /** A connect to the backend failed: it is left out for a while. */
  failed(backend: Backend, now: number): void {
    backend.asideUntil = now + delayMs(aside, backend.failures);
    backend.failures += 1;
  }

  /** A connect to the backend worked. */
  succeeded(backend: Backend): void {
    backend.failures = 0;
    backend.asideUntil = 0;
  }

  private take(index: number, now: number): Backend | undefined {
    this.next = (index + 1) % this.backends.length;
    const backend = this.backends[index];
    // One connection finds out whether a failed backend is back; the others do not wait for it.
    if (backend !== undefined && backend.failures > 0) backend.asideUntil = now + proxyLimits.connectMs;
    return backend;
  }

  private join(address: BackendAddress): Backend {
    const backend = new Backend(address);
    this.byIdentity.set(identityOf(backend), backend);
    this.countByPod.set(backend.pod, (this.countByPod.get(backend.pod) ?? 0) + 1);
    return backend;
  }

  private leave(backend: Backend): void {
    backend.current = false;
    this.byIdentity.delete(identityOf(backend));
    const count = (this.countByPod.get(backend.pod) ?? 1) - 1;
    if (count === 0) this.countByPod.delete(backend.pod);
    else this.countByPod.set(backend.pod, count);
  }
}

const identityOf = ({ pod, host, port }: BackendAddress): string => `${pod} ${host} ${port}`;
