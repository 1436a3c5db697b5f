// Which addresses a port of a service has, read from its parts. Pure.
import type { Endpoint, ServicePort } from "../../schemas/generated/types.ts";
import { addressFor, shardOf } from "../core/endpoints.ts";
import type { Parts } from "./table.ts";

/** One address to connect to. Two with the same pod, host and port are the same backend. */
export interface BackendAddress {
  /** `namespace/name` of the pod or external endpoint. */
  readonly pod: string;
  /** True for an external endpoint, which may be named like a pod and is none: no drain waits for it. */
  readonly external?: boolean;
  readonly host: string;
  readonly port: number;
}

/** A port of a service by number or name; undefined = its first one. */
export type PortChoice = number | string | undefined;

/** The port meant, or undefined when the service is not known or has no such port. */
export function servicePortOf(parts: Parts, choice: PortChoice): ServicePort | undefined {
  const ports = parts.get("head")?.head?.ports ?? [];
  if (choice === undefined) return ports[0];
  return ports.find((port) => port.name === choice || port.port === Number(choice));
}

/** Ports of the service, in its order. */
export function portsOf(parts: Parts): readonly ServicePort[] {
  return parts.get("head")?.head?.ports ?? [];
}

/**
 * Addresses of all endpoints for a port. `hostFact` is the proxy's own: endpoints of the same host are reached at their
 * local address, which spares the published port. An endpoint without this port is left out.
 */
export function backendsOf(parts: Parts, port: ServicePort | undefined, hostFact: string): BackendAddress[] {
  if (port === undefined) return [];
  const backends: BackendAddress[] = [];
  for (const endpoint of endpointsOf(parts)) {
    const address = addressOf(endpoint, port, hostFact);
    if (address !== undefined) backends.push(address);
  }
  return backends;
}

/**
 * Endpoints of all shards the head counts. The event that changed the head made all shards anew: while their number grows, a
 * pod may be in its old shard and not yet, or no more, in its new one. Its new one decides as soon as it is of that event or
 * a later one, because that is the part whose sequence the leader waits for; until then what its old one told last counts.
 */
function* endpointsOf(parts: Parts): Generator<Endpoint> {
  const { head, sequence: madeAnew = 0 } = parts.get("head") ?? {};
  const count = head?.shards ?? 0;
  const isNew = (index: number): boolean => (parts.get(String(index))?.sequence ?? 0) >= madeAnew;
  for (let index = 0; index < count; index += 1) {
    const { shard, before } = parts.get(String(index)) ?? {};
    for (const endpoint of shard?.endpoints ?? []) {
      const home = shardOf(endpoint.pod, count);
      if (home === index || !isNew(home)) yield endpoint;
    }
    if (before === undefined || !isNew(index)) continue;
    for (const endpoint of before.endpoints) if (!isNew(shardOf(endpoint.pod, count))) yield endpoint;
  }
}

function addressOf(endpoint: Endpoint, port: ServicePort, hostFact: string): BackendAddress | undefined {
  const { pod, external } = endpoint;
  const who = external === true ? { pod, external } : { pod };
  const address = addressFor(endpoint.addresses, port);
  if (address === undefined) return undefined;
  const { local, localPort } = address;
  if (endpoint.host === hostFact && local !== undefined && localPort !== undefined) {
    return { ...who, host: local, port: localPort };
  }
  return { ...who, host: address.host, port: address.hostPort };
}
