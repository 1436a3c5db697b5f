// proxy.list: the proxies this leader hears, with what they said last. They are in no log and no bucket.
import { listRequest } from "../../../schemas/generated/messages.js";
import type { ListReply } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { jsonBytes } from "../record.ts";
import { checked } from "./request.ts";
import type { Handler } from "./request.ts";

/** One proxy's metrics can be a page of their own, so few go on one. */
const defaultLimit = 100;

export const listProxies: Handler = async (host, request) => {
  const { after = "", limit = defaultLimit, name } = checked(listRequest, "list-request", request.body ?? {});
  const { epoch, sequence } = host.state;
  const items: ListReply["items"] = [];
  let bytes = 0;
  let last = "";
  for (const id of host.proxies.ids()) {
    const item = id <= after || (name !== undefined && id !== name) ? null : host.proxies.object(id);
    if (item === null) continue;
    bytes += jsonBytes(item);
    if (items.length > 0 && (items.length >= limit || bytes > limits.pageBytes)) {
      return { epoch, sequence, items, next: last };
    }
    items.push({ ...item });
    last = id;
  }
  return { epoch, sequence, items };
};
