// Follows the feed: what happened last, then what happens, each event once and in order. After a disconnect, and where another
// leads, the missed ones are asked for, as far as the leader still has them, and a possible gap is said.
import type { Feed } from "../schemas/generated/types.ts";
import { aborted } from "./abort.ts";
import type { ApiObject, Client } from "./client.ts";

export interface EventFilter {
  /** A namespace, or `_` for all and for what has none. */
  readonly scope: string;
  /** Only events of objects of that name. */
  readonly name: string | undefined;
  /** How many past events to begin with. */
  readonly last: number;
}

export interface EventSink {
  onEvents(events: readonly Feed[]): void;
  /** Events may be missing before the next one. */
  onGap(): void;
  /** Earlier events, up to that sequence, were cut from the log. */
  onCut(sequence: number): void;
}

/** What the leader tells at most in one list. */
const catchUp = 1000;

/** Runs until the client's signal aborts. Throws what the list of past events throws, where some are asked for. */
export async function followEvents(client: Client, filter: EventFilter, sink: EventSink): Promise<void> {
  const tail = new Tail();
  const early: Feed[] = [];
  /** Lists that are asked for: what is heard meanwhile comes after the last of them. */
  let loads = 0;
  // Subscribed before the list is asked for, so that nothing falls between the two.
  const subject = client.subjects.feed(filter.scope === "_" ? "*" : filter.scope, "*", filter.name ?? "*", "*");
  const unsubscribe = client.bus.subscribe(subject, (message) => {
    const event = feedEvent(message.json());
    if (event === undefined) return;
    // The leader before may have been lost before it told what it wrote last.
    if (loads === 0 && tail.isOfAnother(event)) again();
    if (loads > 0) early.push(event);
    else show([event]);
  });
  const show = (events: readonly Feed[]): void => {
    const fresh = events.filter((event) => tail.accept(event));
    if (fresh.length > 0) sink.onEvents(fresh);
  };
  const load = async (limit: number, onCut?: (sequence: number) => void): Promise<Feed[]> => {
    const events = await client.events(filter.scope, limit, filter.name, onCut);
    return tail.missedOf(events.flatMap((item) => feedEvent(item) ?? []));
  };
  const finish = (events: readonly Feed[]): void => {
    loads -= 1;
    show(loads > 0 ? events : [...events, ...early.splice(0)]);
  };
  /** When the last of them is there: one begins where the one before ended, or it would take what that one showed for its own past. */
  let loaded: Promise<void> = Promise.resolve();
  /** Up to where the log was cut, as last told. */
  let known = 0;
  const recover = async (): Promise<void> => {
    await loaded;
    let cut = 0;
    const missed = await load(catchUp, (sequence) => {
      cut = sequence;
    });
    if (missed.length >= catchUp || cut > Math.max(known, tail.newest)) sink.onGap();
    known = Math.max(known, cut);
    finish(missed);
  };
  const again = (): void => {
    loads += 1;
    loaded = recover().catch(() => {
      sink.onGap();
      finish([]);
    });
  };
  const offState = client.bus.onState((state) => {
    if (state === "connected") again();
  });
  const begin = async (): Promise<void> => {
    const onCut = (sequence: number): void => {
      known = sequence;
      sink.onCut(sequence);
    };
    loads += 1;
    if (filter.last > 0) return finish(await load(filter.last, onCut));
    // What is past now is not shown after a break either; what was heard since is no past.
    const heard = (event: Feed): boolean => early.some(({ id }) => id === event.id);
    const past = await load(1).catch((): Feed[] => []);
    for (const event of past) if (!heard(event)) tail.accept(event);
    finish([]);
  };
  try {
    const begun = begin();
    loaded = begun.catch(() => {});
    await begun;
    await aborted(client.signal);
  } finally {
    offState();
    unsubscribe();
  }
}

/** The value as a feed event; undefined when it is none. */
export function feedEvent(value: unknown): Feed | undefined {
  const event = value as ApiObject | null;
  const good =
    typeof event?.subject === "string" && typeof event.sequence === "number" && typeof event.index === "number";
  const named = typeof event?.["id"] === "string" && typeof event["type"] === "string";
  return good && named ? (event as unknown as Feed) : undefined;
}

/**
 * Remembers how far each leader of each log was shown: a log that was restored goes on from before the end of the one it is
 * made of, and one that lost its end from before that.
 */
class Tail {
  /** Log id and epoch → the last event accepted. It grows with each leader alone. */
  private readonly last = new Map<string, Position>();
  /** Sequence of the event that was accepted last; 0 before the first. */
  newest = 0;

  /** True for an event past all of its leader's that were accepted. */
  accept(event: Feed): boolean {
    if (this.covers(event)) return false;
    const { sequence, index } = event;
    this.last.set(termOf(event), { sequence, index });
    this.newest = sequence;
    return true;
  }

  /** True for an event of a leader of whom none was accepted, where some of others were. */
  isOfAnother(event: Feed): boolean {
    return this.last.size > 0 && !this.last.has(termOf(event));
  }

  /** What a list holds after the last event that was accepted: those before it may be of an earlier log, of which nothing was. */
  missedOf(list: readonly Feed[]): Feed[] {
    return list.slice(list.findLastIndex((event) => this.covers(event)) + 1);
  }

  private covers(event: Feed): boolean {
    const last = this.last.get(termOf(event));
    if (last === undefined) return false;
    return event.sequence < last.sequence || (event.sequence === last.sequence && event.index <= last.index);
  }
}

type Position = Pick<Feed, "sequence" | "index">;

/** The id without sequence and index. */
const termOf = ({ id }: Feed): string => id.split(".").slice(0, -2).join(".");
