// What the system says about sockets, as errors of the catalogue.
import { isIP } from "node:net";
import { getSystemErrorName } from "node:util";
import { SwainError } from "../errors.ts";
import type { Refuse } from "../sockets.ts";

/** Why a connect failed. `reason` is the system's name, such as ECONNREFUSED. */
export function connectFailed(host: string, port: number, reason: string): SwainError {
  return new SwainError("CONNECT_FAILED", `cannot connect to ${host}:${port}: ${reason}`, { details: { reason } });
}

/** What speaks against a connect to this address; undefined when nothing does, or when it is a name still. */
export function refusalOf(address: string, refuse: Refuse | undefined): SwainError | undefined {
  return isIP(address) === 0 ? undefined : refuse?.(address);
}

/** A connect that took too long. */
export function connectTimedOut(host: string, port: number, timeoutMs: number): SwainError {
  return new SwainError("CONNECT_TIMEOUT", `no answer from ${host}:${port} within ${timeoutMs} ms`);
}

/** Why a listen failed. */
export function listenFailed(host: string, port: number, reason: string): SwainError {
  return reason === "EADDRINUSE"
    ? new SwainError("PORT_IN_USE", `port ${port} of ${host} is in use`, { details: { reason } })
    : new SwainError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${reason}`, { details: { reason } });
}

/** A connection that was waiting but could not be accepted, most often for want of file descriptors. */
export function acceptFailed(address: string, port: number, reason: string): SwainError {
  return new SwainError("CONNECT_FAILED", `cannot accept a connection on ${address}:${port}: ${reason}`, {
    details: { reason },
  });
}

/** The name of a negative status of the event loop's library. */
export function systemName(status: number): string {
  try {
    return getSystemErrorName(status);
  } catch {
    return String(status);
  }
}
