// Admission of external endpoints: programs that no node runs and that register themselves behind a service.
import type {
  EndpointDeregisterRequest,
  EndpointRegistered,
  EndpointRegisterRequest,
} from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { SwainError } from "../../kernel/errors.ts";
import { externalId, keyOf, type ReadService, type ReadState } from "../model.ts";
import { removedItem } from "../plan/expire.ts";
import { parseDurationMs } from "../quantity.ts";
import { same } from "../same.ts";
import type { Admitted } from "./apply.ts";

/** Empty items mean a renewal: the same is registered already. Throws NOT_FOUND, INVALID_REQUEST or TOO_MANY_ENDPOINTS. */
export function admitRegister(state: ReadState, namespace: string, request: EndpointRegisterRequest): Admitted {
  const { name, addresses } = request;
  const service = state.services.get(keyOf(namespace, request.service));
  if (service === undefined) {
    throw new SwainError("NOT_FOUND", `There is no service ${request.service} in namespace ${namespace}.`);
  }
  const item: EndpointRegistered = {
    kind: "endpoint",
    verb: "registered",
    namespace,
    name,
    service: request.service,
    addresses,
    ttlMs: ttlOf(request.ttl),
  };
  addressesFit(service, request);
  const known = state.external.get(externalId(namespace, request.service, name));
  const unchanged = known !== undefined && known.ttlMs === item.ttlMs && same(known.addresses, addresses);
  if (known === undefined && service.external.size >= limits.externalEndpoints) {
    const message = `Service ${request.service} has ${service.external.size} external endpoints, which is the most.`;
    throw new SwainError("TOO_MANY_ENDPOINTS", message);
  }
  const action = unchanged ? "unchanged" : known === undefined ? "created" : "configured";
  return { items: unchanged ? [] : [item], results: [{ kind: "Endpoint", namespace, name, action }] };
}

/** Throws NOT_FOUND. */
export function admitDeregister(state: ReadState, namespace: string, request: EndpointDeregisterRequest): Admitted {
  const { service, name } = request;
  const known = state.external.get(externalId(namespace, service, name));
  if (known === undefined) {
    throw new SwainError("NOT_FOUND", `Service ${service} in namespace ${namespace} has no external endpoint ${name}.`);
  }
  return {
    items: [removedItem(state, known, "DEREGISTERED", "It deregistered itself.")],
    results: [{ kind: "Endpoint", namespace, name, action: "deleted" }],
  };
}

function ttlOf(ttl: string): number {
  const ms = parseDurationMs(ttl);
  const { endpointTtlLeastMs: least, endpointTtlMostMs: most } = limits;
  if (ms >= least && ms <= most) return ms;
  throw new SwainError("INVALID_REQUEST", `ttl is ${ttl}; it must be ${least / 1000}s to ${most / 60_000}m`);
}

/** An address that answers no port of the service would never get a connection. */
function addressesFit(service: ReadService, { addresses }: EndpointRegisterRequest): void {
  const targets = [...new Set(service.spec.ports.map(({ targetPort }) => String(targetPort)))];
  const seen = new Set<string>();
  for (const { name } of addresses) {
    if (seen.has(name)) throw new SwainError("INVALID_REQUEST", `the address "${name}" is there twice`);
    seen.add(name);
    if (targets.includes(name)) continue;
    const message = `the address "${name}" answers no port: the targetPorts of service ${service.name} are ${targets.join(", ")}`;
    throw new SwainError("INVALID_REQUEST", message);
  }
}
