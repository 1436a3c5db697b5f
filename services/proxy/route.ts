// What one listener serves: a port of a service, the backends it has now, and who waits for them.
import type { EndpointsHead } from "../../schemas/generated/types.ts";
import { same } from "../core/same.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import type { Backend } from "./backend.ts";
import { backendsOf, servicePortOf } from "./backends.ts";
import type { PortChoice } from "./backends.ts";
import { unchecked } from "./health.ts";
import { proxyLimits } from "./limits.ts";
import type { ServiceLoad } from "./load.ts";
import { Rotation } from "./rotation.ts";
import type { Parts } from "./table.ts";
import { plainTraffic, trafficOf } from "./traffic.ts";
import type { Traffic } from "./traffic.ts";
import { WaitingLine } from "./waiting.ts";

export class Route {
  /** `namespace/name` */
  readonly service: string;
  readonly choice: PortChoice;
  readonly rotation: Rotation;
  /** Of all routes of the service. */
  readonly load: ServiceLoad;
  /** Clients waiting for a backend that takes one more. */
  readonly line: WaitingLine;
  traffic: Traffic = plainTraffic;
  private head: EndpointsHead | undefined;
  private readonly clock: Clock;
  private readonly waiting = new Set<() => void>();

  constructor(service: string, choice: PortChoice, clock: Clock, start: number, load: ServiceLoad) {
    this.service = service;
    this.choice = choice;
    this.clock = clock;
    this.load = load;
    this.line = new WaitingLine(clock);
    this.rotation = new Rotation(start);
  }

  /** As people write it: `default/web:http`. */
  get name(): string {
    return this.choice === undefined ? this.service : `${this.service}:${this.choice}`;
  }

  /** Takes the service's parts as they are now; gives the backends that went. */
  update(parts: Parts, hostFact: string): Backend[] {
    this.follow(parts.get("head")?.head);
    const gone = this.rotation.update(backendsOf(parts, servicePortOf(parts, this.choice), hostFact));
    const { check } = this.traffic;
    for (const backend of this.rotation.all) {
      if (check === undefined) backend.health = undefined;
      else backend.health ??= unchecked;
    }
    if (this.rotation.size > 0) for (const tell of this.waiting) tell();
    this.line.retry();
    return gone;
  }

  /** True as soon as there is a backend, false when none came in time. */
  firstBackend(): Promise<boolean> {
    if (this.rotation.size > 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      let cancel: Cancel = () => {};
      const settle = (there: boolean): void => {
        this.waiting.delete(tell);
        cancel();
        resolve(there);
      };
      const tell = (): void => settle(true);
      this.waiting.add(tell);
      cancel = this.clock.after(proxyLimits.firstEndpointMs, () => settle(false));
    });
  }

  /** Takes what the head says about balancing. A head that is away, as while it is loaded anew, changes nothing. */
  private follow(head: EndpointsHead | undefined): void {
    if (head === undefined || head === this.head) return;
    this.head = head;
    const traffic = trafficOf(head);
    if (this.load.limit !== traffic.maxConnections) this.load.allow(traffic.maxConnections);
    if (same(traffic, this.traffic)) return;
    this.traffic = traffic;
    this.rotation.traffic = traffic;
  }
}
