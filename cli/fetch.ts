// Reads objects for `get`, `describe` and watches.
import type { ApiObject, Client } from "./client.ts";
import type { Resource } from "./kinds.ts";
import { byName } from "./natural.ts";

/** One object by name, or all of them in the order people list names. Throws NOT_FOUND. */
export async function fetchObjects(
  client: Client,
  resource: Resource,
  scope: string,
  name: string | undefined,
  minSeq?: number,
): Promise<ApiObject[]> {
  const options = minSeq === undefined ? {} : { minSeq };
  if (name !== undefined) return [await client.get(scope, resource, name, minSeq)];
  const objects = await client.list(scope, resource, options);
  return objects.toSorted((a, b) => byName(a as never, b as never));
}
