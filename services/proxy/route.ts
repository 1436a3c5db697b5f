// One port of one service as clients reach it: which backends it has now, and who waits for the first of them.
import type { Cancel, Clock } from "../kernel/clock.ts";
import { backendsOf, servicePortOf } from "./backends.ts";
import type { PortChoice } from "./backends.ts";
import { proxyLimits } from "./limits.ts";
import { Rotation } from "./rotation.ts";
import type { Backend } from "./rotation.ts";
import type { Parts } from "./table.ts";

export class Route {
  /** `namespace/name` */
  readonly service: string;
  readonly choice: PortChoice;
  readonly rotation: Rotation;
  private readonly clock: Clock;
  private readonly waiting = new Set<() => void>();

  constructor(service: string, choice: PortChoice, clock: Clock, start: number) {
    this.service = service;
    this.choice = choice;
    this.clock = clock;
    this.rotation = new Rotation(start);
  }

  /** As people write it: `default/web:http`. */
  get name(): string {
    return this.choice === undefined ? this.service : `${this.service}:${this.choice}`;
  }

  /** Takes the service's parts as they are now; gives the backends that went. */
  update(parts: Parts, hostFact: string): Backend[] {
    const gone = this.rotation.update(backendsOf(parts, servicePortOf(parts, this.choice), hostFact));
    if (this.rotation.size > 0) for (const tell of this.waiting) tell();
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
}
