// Reads objects for `get`, `describe` and watches.
import type { ApiObject, Client } from "./client.ts";
import type { Resource } from "./kinds.ts";

/** One object by name, or all of them. Throws NOT_FOUND. */
export async function fetchObjects(
  client: Client,
  resource: Resource,
  scope: string,
  name: string | undefined,
  minSeq?: number,
): Promise<ApiObject[]> {
  const options = minSeq === undefined ? {} : { minSeq };
  return name === undefined ? client.list(scope, resource, options) : [await client.get(scope, resource, name, minSeq)];
}
