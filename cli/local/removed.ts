// Which nodes the log says were removed since it was last looked through.
import type { Feed } from "../../schemas/generated/types.ts";
import type { Registry, Removal } from "../../services/bus/embedded/registry.ts";
import { isAfter } from "../../services/bus/embedded/registry.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { answerOf } from "../client.ts";

type Place = Registry["seen"];

export interface Removed {
  /** Oldest first. */
  readonly removals: readonly Removal[];
  readonly upTo: Place;
  /** True when there was more than could be looked through. */
  readonly gap: boolean;
}

/** One look at the newest event suffices when nothing happened. */
const firstPage = 1;
const page = 1000;
/** 20,000 events: what a busy cluster writes in the minutes that a supervisor may be away. */
const maxPages = 20;

/** Reads back from the newest event to the place seen. Rejects with NO_LEADER, TIMEOUT and what the leader answers. */
export async function removedNodes(bus: Bus, cluster: string, seen: Place): Promise<Removed> {
  const removals: Removal[] = [];
  let upTo: Place | undefined;
  let after: string | undefined;
  for (let pages = 0; pages < maxPages; pages += 1) {
    const query = { limit: pages === 0 ? firstPage : page, ...(after === undefined ? {} : { after }) };
    const subject = subjectsOf(cluster).api("_", "event", "list");
    const reply = answerOf(await bus.request(subject, query, { timeoutMs: limits.requestTimeoutMs }));
    const items = ((reply["items"] ?? []) as Feed[]).toReversed();
    for (const event of items) {
      const place = placeOf(event);
      upTo ??= place;
      if (!isAfter(place, seen)) return { removals: removals.toReversed(), upTo, gap: false };
      if (event.type === "swain.node.removed") removals.push({ ...place, node: String(event.subject.split("/")[2]) });
    }
    const { next } = reply;
    if (typeof next !== "string") {
      // What was cut from the log cannot be looked through.
      const gap = typeof reply["cut"] === "number" && seen.logId !== "";
      return { removals: ofLog(removals, upTo), upTo: upTo ?? seen, gap };
    }
    after = next;
  }
  // What joined with this log is younger than all of it; there is nothing to miss in the first look.
  return { removals: ofLog(removals, upTo), upTo: upTo ?? seen, gap: seen.logId !== "" };
}

/**
 * Where the place seen was not met, it is of a log that a restore took back: what the backup tells was looked through before,
 * and who was removed then may have joined again.
 */
const ofLog = (removals: readonly Removal[], newest: Place | undefined): Removal[] =>
  removals.filter(({ logId }) => logId === newest?.logId).toReversed();

/** The id of a feed event begins with the log's own, and has the epoch next where the leader is of this version. */
const placeOf = ({ id, sequence }: Feed): Place => {
  const [logId = "", epoch, ...rest] = id.split(".");
  return { logId, ...(rest.length < 2 ? {} : { epoch: Number(epoch) }), sequence };
};
