// What a watcher of the feed is shown, held against the log: every event of it, once and in order, wherever it was cut off.
import type { Event } from "../../schemas/generated/types.ts";
import { controllerNames } from "./faults.ts";
import type { Troubles } from "./troubles.ts";

/** A leader that is lost right after an append tells nobody of it, and a new one tells what it writes itself. */
const cleanMs = 20_000;

interface Told {
  readonly sequence: number;
  readonly items: number;
}

/** One item of an event, as the feed shows it. */
export interface Shown {
  readonly sequence: number;
  readonly index: number;
}

export class Feeds {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Events of the log, in order. */
  private log: Told[] = [];
  /** Sequence → where in the log. */
  private readonly places = new Map<number, number>();
  /** What should be shown next; undefined before the first. */
  private next: { place: number; index: number } | undefined;
  private shownAt = -Infinity;
  /** The watcher was told that something may be missing. */
  private hasGap = false;
  /** Events shown. */
  count = 0;

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** The next event of the log. */
  onEvent(sequence: number, { items }: Event): void {
    this.places.set(sequence, this.log.length);
    this.log.push({ sequence, items: items.length });
  }

  /** A watcher was told that something may be missing before what it is shown next. */
  onGap(): void {
    this.hasGap = true;
  }

  /** A watcher is shown an item. */
  onShown({ sequence, index }: Shown): void {
    const place = this.places.get(sequence);
    if (place === undefined || index >= (this.log[place]?.items ?? 0)) {
      this.violate(`the feed shows item ${index} of event ${sequence}, which is not in the log`);
      return;
    }
    const wanted = this.next;
    const isNext = wanted === undefined || this.hasGap || (wanted.place === place && wanted.index === index);
    if (!isNext && this.isClean()) {
      const missed = this.log[wanted.place]?.sequence;
      this.violate(`the feed shows item ${index} of event ${sequence} where item ${wanted.index} of ${missed} was due`);
    }
    const isLast = index + 1 === this.log[place]?.items;
    this.next = isLast ? { place: place + 1, index: 0 } : { place, index: index + 1 };
    this.shownAt = this.now();
    this.hasGap = false;
    this.count += 1;
  }

  /** What was lost is lost to watchers as well. */
  forget(): void {
    this.log = [];
    this.places.clear();
    this.next = undefined;
  }

  /** True where nothing kept a leader from telling, since the last item was shown. */
  private isClean(): boolean {
    const ms = cleanMs + this.now() - this.shownAt;
    return ["bus", ...controllerNames].every((place) => this.troubles.isClean(place, ms));
  }
}
