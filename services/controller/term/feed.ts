// What is told on the feed of an event in the log. Called by the term.
import type { Event } from "../../../schemas/generated/types.ts";
import { feedEvents } from "../../core/feed.ts";
import { asSwainError } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";

/** Tells it to whoever listens; a part that cannot be told is left out. */
export function publishFeed(
  { bus, subjects, cluster, log }: Context,
  { event, sequence }: { readonly event: Event; readonly sequence: number },
): void {
  for (const { kind, namespace, name, verb, value } of feedEvents(cluster, sequence, event)) {
    try {
      bus.publish(subjects.feed(namespace, kind, name, verb), value);
    } catch (error) {
      log.warn("an event could not be told on the feed", { sequence, code: asSwainError(error).code });
    }
  }
}
