// What a service's head says about balancing, read into the units the proxy works with. Pure.
import type { EndpointsHead } from "../../schemas/generated/types.ts";
import { parseDurationMs } from "../core/quantity.ts";

/** `source`: the client's address decides. */
export type Balance = "round-robin" | "least-connections" | "source";

/** How backends are asked whether they serve. */
export interface CheckRules {
  /** The path of an HTTP request; undefined = a connect is enough. */
  readonly path: string | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Successes in a row until it serves again. */
  readonly rise: number;
  /** Failures in a row until it does not. */
  readonly fall: number;
}

/** When a backend is left out for failed connects. */
export interface EjectionRules {
  /** Connects failed in a row. */
  readonly failures: number;
  /** The first time; see `ejection.ts` for the next ones. */
  readonly forMs: number;
}

export interface Traffic {
  readonly balance: Balance;
  readonly check: CheckRules | undefined;
  readonly ejection: EjectionRules | undefined;
  /** Version of the PROXY protocol spoken to backends. */
  readonly proxyProtocol: 1 | 2 | undefined;
  /** Open connections to the service; Infinity where none is said. */
  readonly maxConnections: number;
  /** Open connections to one backend. */
  readonly maxPerBackend: number;
}

export const plainTraffic: Traffic = {
  balance: "round-robin",
  check: undefined,
  ejection: undefined,
  proxyProtocol: undefined,
  maxConnections: Infinity,
  maxPerBackend: Infinity,
};

/** What the head says, with every default; a word of a later version counts as left out. */
export function trafficOf(head: EndpointsHead | undefined): Traffic {
  const said = head?.traffic;
  if (said === undefined) return plainTraffic;
  const { balance, sticky, check, ejection, proxyProtocol, maxConnections, maxConnectionsPerBackend } = said;
  return {
    balance: sticky === "source" ? sticky : balance === "least-connections" ? balance : "round-robin",
    check:
      check === undefined
        ? undefined
        : {
            path: check.type === "http" ? (check.path ?? "/") : undefined,
            intervalMs: parseDurationMs(check.interval ?? "2s"),
            timeoutMs: parseDurationMs(check.timeout ?? "1s"),
            rise: check.rise ?? 2,
            fall: check.fall ?? 3,
          },
    ejection:
      ejection === undefined
        ? undefined
        : { failures: ejection.failures ?? 3, forMs: parseDurationMs(ejection.for ?? "10s") },
    proxyProtocol: proxyProtocol === "v1" ? 1 : proxyProtocol === "v2" ? 2 : undefined,
    maxConnections: maxConnections ?? Infinity,
    maxPerBackend: maxConnectionsPerBackend ?? Infinity,
  };
}
