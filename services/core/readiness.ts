// What a manifest's readiness check means, with what it leaves out filled in. Called by the agent and the manifest checks.
import type { Readiness } from "../../schemas/generated/types.ts";
import { parseDurationMs } from "./quantity.ts";

/** A container's own check. Times in milliseconds. */
export interface Check {
  /** Null: only a TCP connect. */
  readonly http: { readonly path: string; readonly host: string | null } | null;
  /** A declared port's name, or a number. */
  readonly port: string | number;
  /** From the start to the first check. */
  readonly initialDelayMs: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** In a row until ready. */
  readonly successes: number;
  /** In a row until not ready any more. */
  readonly failures: number;
}

/** Checks closer together would cost more than they tell. */
export const leastIntervalMs = 100;

/** A check under way must not outlive the patience of whoever waits for the pod; longer ones belong into the program. */
export const mostTimeoutMs = 60_000;

/** The check with its defaults; null when the manifest names none. */
export function checkOf(readiness: Readiness | undefined): Check | null {
  const port = readiness?.http?.port ?? readiness?.tcp?.port;
  if (readiness === undefined || port === undefined) return null;
  const { http } = readiness;
  return {
    http: http === undefined ? null : { path: http.path ?? "/", host: http.host ?? null },
    port,
    initialDelayMs: parseDurationMs(readiness.initialDelay ?? "0s"),
    intervalMs: parseDurationMs(readiness.interval ?? "2s"),
    timeoutMs: parseDurationMs(readiness.timeout ?? "2s"),
    successes: readiness.successes ?? 1,
    failures: readiness.failures ?? 3,
  };
}

/** True when a container has to show that it is ready: a check of its own, or declared ports. */
export function mustShow(container: { readonly readiness?: unknown; readonly ports?: readonly unknown[] }): boolean {
  return container.readiness !== undefined || (container.ports ?? []).length > 0;
}
