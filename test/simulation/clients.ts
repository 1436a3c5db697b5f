// Whether clients are served: a proxy takes them to the endpoints that it knows, also while the bus is away or it is cut off from it.
import type { State } from "../../services/core/model.ts";
import { keyOf } from "../../services/core/model.ts";
import { backendsOf, servicePortOf } from "../../services/proxy/backends.ts";
import { proxyLimits } from "../../services/proxy/limits.ts";
import { EndpointTable } from "../../services/proxy/table.ts";
import type { Table } from "./tables.ts";
import type { Troubles } from "./troubles.ts";

/** What a proxy knew when it refused is in its file after this, for that is written once a second. */
const savedMs = proxyLimits.saveMs + 500;
/** One with which nothing was wrong for so long has read its file, and what could not be written was tried again. */
const cleanMs = 5000;
/** What is wrong between a proxy and the bus keeps no client from its endpoints. */
const ofTheWay: ReadonlySet<string> = new Set([
  "cut",
  "cutUp",
  "cutDown",
  "flap",
  "reset",
  "slow",
  "lossy",
  "gappy",
  "farFromNodes",
]);

/** A client that a proxy refused without having asked an endpoint in vain, though its file has some. */
interface Refusal {
  readonly at: number;
  readonly proxy: string;
  readonly service: string;
  /** What the proxy knows of the service; by more than revisions, which a power cut may have given again. */
  readonly known: string;
}

export class Clients {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  private readonly tables = new Map<string, Table>();
  /** Proxies → when an endpoint last refused them. */
  private readonly untakenAt = new Map<string, number>();
  private refusals: Refusal[] = [];

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** What a proxy has in its file, if there is one; to be called from time to time. */
  onTable(proxy: string, table: Table | undefined): void {
    if (table === undefined) this.tables.delete(proxy);
    else this.tables.set(proxy, table);
    if (this.refusals.length === 0) return;
    this.refusals = this.refusals.filter((one) => one.proxy !== proxy || !this.isDecided(one, table));
  }

  /** An endpoint refuses a proxy that connects to it. */
  onUntaken(proxy: string): void {
    this.untakenAt.set(proxy, this.now());
  }

  /** A proxy refused a client of the service that came at that time. */
  onRefused(proxy: string, service: string, cameAt: number): void {
    const table = this.tables.get(proxy);
    // One that cannot be reached may have been asked.
    const isAsked = this.now() - cameAt >= proxyLimits.connectMs || (this.untakenAt.get(proxy) ?? -Infinity) >= cameAt;
    if (isAsked || table === undefined || !this.isWell(proxy, cleanMs)) return;
    const parts = partsOf(table, service);
    const known = new EndpointTable();
    known.restore({ logId: null, parts });
    const its = known.partsOf(service);
    if (backendsOf(its, servicePortOf(its, undefined), proxy).length === 0) return;
    this.refusals.push({ at: this.now(), proxy, service, known: JSON.stringify(parts) });
  }

  private isDecided({ at, proxy, service, known }: Refusal, table: Table | undefined): boolean {
    if (table === undefined) return true;
    if (this.now() - at < savedMs) return false;
    if (JSON.stringify(partsOf(table, service)) === known && this.isWell(proxy, cleanMs + savedMs))
      this.violate(
        `proxy ${proxy} refused a client of ${service} at ${Math.round(at)}, and asked none of its endpoints`,
      );
    return true;
  }

  private isWell(proxy: string, ms: number): boolean {
    return this.troubles.isClean(proxy, ms, ofTheWay) && !this.troubles.had("bus", "everythingOff", ms);
  }
}

const partsOf = ({ parts }: Table, service: string): Table["parts"] => {
  const prefix = `${service.replace("/", ".")}.`;
  return parts.filter(([key]) => key.startsWith(prefix));
};

/** The ports of services that have endpoints, by their names: at rest clients of them are answered. */
export function servedPorts({ services, workloads, pods }: State): Map<string, number> {
  const served = new Map<string, number>();
  for (const [key, { namespace, spec, external }] of services) {
    const workload = workloads.get(keyOf(namespace, spec.selector?.workload ?? ""));
    const isReady = external.size > 0 || [...(workload?.pods ?? [])].some((pod) => pods.get(pod)?.state === "ready");
    const [port] = spec.ports;
    if (isReady && port !== undefined) served.set(key, port.port);
  }
  return served;
}
