// The feed: one CloudEvent per item of an acknowledged event, and the subject an event is stored under.
import type { Event, EventItem, Feed } from "../../schemas/generated/types.ts";

export interface FeedMessage {
  /** Undefined for things without one. */
  readonly namespace: string | undefined;
  readonly kind: string;
  readonly name: string;
  readonly verb: string;
  readonly value: Feed;
}

const namespaceOf = (item: EventItem): string | undefined => ("namespace" in item ? item.namespace : undefined);

/** What watchers are told of an event. CloudEvents 1.0, structured JSON. */
export function feedEvents(cluster: string, sequence: number, event: Event): FeedMessage[] {
  const time = new Date(event.time).toISOString();
  return event.items.map((item, index) => {
    const namespace = namespaceOf(item);
    return {
      namespace,
      kind: item.kind,
      name: item.name,
      verb: item.verb,
      value: {
        specversion: "1.0",
        id: `${event.logId}.${event.epoch}.${sequence}.${index}`,
        source: `swain/${cluster}`,
        type: `swain.${item.kind}.${item.verb}`,
        subject: `${namespace ?? "_"}/${item.kind}/${item.name}`,
        time,
        datacontenttype: "application/json",
        sequence,
        index,
        cause: event.cause,
        ...(event.operation === undefined ? {} : { operation: event.operation }),
        data: { ...item },
      },
    };
  });
}

/** The tokens of an event's subject when it concerns one object; `batch` when it concerns several. */
export function eventSubjectParts(
  items: readonly EventItem[],
): { kind: string; namespace: string | undefined; name: string; verb: string } | "batch" {
  const [item] = items;
  if (item === undefined || items.length > 1) return "batch";
  return { kind: item.kind, namespace: namespaceOf(item), name: item.name, verb: item.verb };
}
