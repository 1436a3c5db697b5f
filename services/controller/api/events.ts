// event.list: the log read backwards, newest page first asked for, newest item last shown. It follows the chain of event
// ids, so that records no leader wrote never show up.
import { event as isEvent, listRequest } from "../../../schemas/generated/messages.js";
import type { Event, ListReply, ListRequest } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { LogStore } from "../../bus/port.ts";
import { feedEvents } from "../../core/feed.ts";
import type { FeedMessage } from "../../core/feed.ts";
import { SwainError } from "../../kernel/errors.ts";
import { jsonBytes, parseJson } from "../record.ts";
import { checked } from "./request.ts";
import type { ApiRequest, Handler } from "./request.ts";

const defaultLimit = 100;
/** Records fetched at once, and in all for one page: a rare name is looked for further by the next page. */
const windowRecords = 64;
const mostRecords = 2048;

/** Where to go on: the next record to look at, the id it must have to be of the chain, and how many of its newest items were told. */
interface Cursor {
  readonly sequence: number;
  readonly id: string;
  readonly told: number;
}

export const listEvents: Handler = async (host, request) => {
  const query = checked(listRequest, "list-request", request.body ?? {});
  await host.reached(query.minSeq ?? 0);
  const { cluster, bus, subjects } = host.context;
  const { accepted, lastEventId, epoch, sequence } = host.state;
  const from = query.after === undefined ? { sequence: accepted, id: lastEventId, told: 0 } : parseCursor(query.after);
  const { items, next, cut } = await readBack(
    bus.log(subjects.stream),
    from,
    query.limit ?? defaultLimit,
    (event, at) => feedEvents(cluster, at, event).filter((message) => matches(message, request, query)),
  );
  const reply: ListReply = { epoch, sequence, items: items as unknown as ListReply["items"] };
  return { ...reply, ...(next === undefined ? {} : { next }), ...(cut === undefined ? {} : { cut }) };
};

function matches({ namespace, name }: FeedMessage, request: ApiRequest, query: ListRequest): boolean {
  if (request.namespace !== undefined && namespace !== request.namespace) return false;
  return query.name === undefined || query.name === name;
}

interface Page {
  readonly items: object[];
  readonly next: string | undefined;
  /** Where the log was cut, when what was asked for may lie before. */
  readonly cut: number | undefined;
}

async function readBack(
  log: LogStore,
  from: Cursor,
  most: number,
  pick: (event: Event, sequence: number) => FeedMessage[],
): Promise<Page> {
  const { first } = await log.tail();
  const items: object[] = [];
  let { sequence, id, told } = from;
  let bytes = 0;
  for (let looked = 0; sequence >= first && id !== "" && looked < mostRecords;) {
    const count = Math.min(windowRecords, sequence - first + 1);
    const records = await Promise.all(Array.from({ length: count }, (_, index) => log.get(sequence - index)));
    for (const record of records) {
      const event = record === null ? undefined : parseJson(record.data);
      if (record !== null && isEvent(event) && event.id === id) {
        const picked = pick(event, record.sequence);
        for (const { value } of picked.slice(0, picked.length - told).toReversed()) {
          bytes += jsonBytes(value) + 1;
          if (items.length >= most || (items.length > 0 && bytes > limits.pageBytes)) {
            return { items: items.toReversed(), next: cursorText({ sequence, id, told }), cut: undefined };
          }
          items.push(value);
          told++;
        }
        id = event.prev;
        told = 0;
      }
      looked++;
      sequence--;
    }
  }
  const isCut = sequence < first && id !== "";
  const next = isCut ? undefined : cursorText({ sequence, id, told });
  return { items: items.toReversed(), next, cut: isCut ? first - 1 : undefined };
}

const cursorText = ({ sequence, id, told }: Cursor): string | undefined =>
  sequence > 0 && id !== "" ? `${sequence}.${id}.${told}` : undefined;

function parseCursor(text: string): Cursor {
  const [, sequence, id, told] = /^([1-9][0-9]{0,15})\.([a-z0-9]{1,64})\.([0-9]{1,4})$/.exec(text) ?? [];
  if (sequence === undefined || id === undefined) {
    throw new SwainError("INVALID_REQUEST", `"${text}" is no "next" of an earlier page`);
  }
  return { sequence: Number(sequence), id, told: Number(told) };
}
