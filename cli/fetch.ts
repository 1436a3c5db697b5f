// Reads objects for `get`, `describe` and watches.
import type { ProxyObject, ServiceObject } from "../schemas/generated/types.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { ApiObject, Client } from "./client.ts";
import type { Resource } from "./kinds.ts";
import { byName } from "./natural.ts";
import { serviceReach } from "./service-reach.ts";

/** One object by name, or all of them in the order people list names. Throws NOT_FOUND. */
export async function fetchObjects(
  client: Client,
  resource: Resource,
  scope: string,
  name: string | undefined,
  minSeq?: number,
): Promise<ApiObject[]> {
  const options = minSeq === undefined ? {} : { minSeq };
  if (name !== undefined) return [await client.get(scope, resource, name, options)];
  const objects = await client.list(scope, resource, options);
  return objects.toSorted((a, b) => byName(a as never, b as never));
}

/** The proxies the leader hears; none for who may not ask for them, as with rights in one namespace alone. */
export async function heardProxies(client: Client): Promise<ProxyObject[]> {
  try {
    return (await client.list("_", "proxy")) as unknown as ProxyObject[];
  } catch (error) {
    if (error instanceof SwainError && error.code === "NATS_DENIED") return [];
    throw error;
  }
}

/** Why clients cannot reach a service, as the proxies say now. */
export async function unreachedBy(client: Client): Promise<(service: ApiObject) => string> {
  const proxies = await heardProxies(client);
  return (service) => serviceReach(service as unknown as ServiceObject, proxies).reason;
}
