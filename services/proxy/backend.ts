// One backend of one service port, and what the proxy knows of it. State without I/O; time is passed in.
import { hashOf } from "../core/endpoints.ts";
import type { BackendAddress } from "./backends.ts";
import { cleanPast } from "./ejection.ts";
import type { ConnectPast } from "./ejection.ts";
import type { Health } from "./health.ts";

/** As `swain proxy ls` shows it. `ejected` = left out after failed connects, `draining` = no endpoint any more. */
export type BackendState = "up" | "checking" | "down" | "ejected" | "draining";

/** The tier of backends that are never used. */
export const barredTier = 4;

export class Backend implements BackendAddress {
  readonly pod: string;
  readonly external: boolean;
  readonly host: string;
  readonly port: number;
  /** Of the pod, which has the same name at every proxy. */
  readonly hash: number;
  /** False from the moment it is no endpoint any more; it gets no new connection then. */
  current = true;
  /** Connections open or being opened. */
  open = 0;
  /** Connections joined with a client so far. */
  total = 0;
  /** Connects that failed. */
  failed = 0;
  /** Bytes that clients sent to it over connections that are finished, and that it sent to them. */
  bytesIn = 0;
  bytesOut = 0;
  past: ConnectPast = cleanPast;
  /** Undefined while the service has no check. */
  health: Health | undefined;
  /** Until then it gets nothing, whatever else is left: its address is this proxy's own. */
  barredUntil = 0;
  /** Why the last check failed. */
  checkFailure = "";

  constructor({ pod, external = false, host, port }: BackendAddress) {
    this.pod = pod;
    this.external = external;
    this.host = host;
    this.port = port;
    this.hash = hashOf(pod);
  }

  get address(): string {
    return this.host.includes(":") ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  /**
   * 0 serves, 1 is not checked yet, 2 failed connects, 3 fails its check. A worse one is used when no better one is there,
   * but never one of `barredTier`.
   */
  tier(now: number): number {
    const { health, past } = this;
    if (this.barredUntil > now) return barredTier;
    if (health?.state === "down") return 3;
    if (past.asideUntil > now) return 2;
    return health?.state === "checking" ? 1 : 0;
  }

  state(now: number): BackendState {
    if (!this.current) return "draining";
    return (["up", "checking", "ejected", "down", "down"] as const)[this.tier(now)] ?? "up";
  }
}
