// What a watcher of the feed is shown, held against the log: every event of it, once and in order, wherever it was cut off.
import type { Event } from "../../schemas/generated/types.ts";
import { controllerNames } from "./faults.ts";
import type { Troubles } from "./troubles.ts";

/** A leader that is lost right after an append tells nobody of it, and a new one tells what it writes itself. */
const cleanMs = 20_000;
/** A watcher is shown an event within this: it comes at once, but for one who asks a leader for what it missed. */
const shownMs = 10_000;
/** Who begins to watch, or meets a log that lost its end, is shown what comes then. */
const begunMs = 30_000;

interface Told {
  readonly sequence: number;
  readonly items: number;
  readonly at: number;
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
  /** Of the log that was long enough in it to have been shown when it was last looked. */
  private due = 0;
  /** Since then the log is the one that there is. */
  private begunAt = 0;
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
    this.log.push({ sequence, items: items.length, at: this.now() });
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

  /** To be called from time to time. */
  look(): void {
    while ((this.log[this.due]?.at ?? Infinity) < this.now() - shownMs) this.due += 1;
    const last = this.log[this.due - 1];
    if (last === undefined || !this.isToBeShown(last) || this.isShown(this.due) || this.hasGap) return;
    const ms = cleanMs + this.now() - last.at;
    const isClean = ["bus", "watcher", ...controllerNames].every((place) => this.troubles.isClean(place, ms));
    if (isClean) this.violate(`event ${last.sequence} is not shown on the feed for long`);
  }

  /** To be called once nothing was wrong, and nothing was written, for a minute. */
  rest(): void {
    const last = this.log.at(-1);
    if (last !== undefined && this.isToBeShown(last) && !this.isShown(this.log.length) && !this.hasGap)
      this.violate(`event ${last.sequence} is not shown on the feed at rest`);
  }

  private isToBeShown({ at }: Told): boolean {
    return at >= this.begunAt + begunMs;
  }

  /** Whether the first so many of the log were shown, or came before the watcher. */
  private isShown(count: number): boolean {
    return this.next !== undefined && this.next.place >= count;
  }

  /** What was lost is lost to watchers as well. */
  forget(): void {
    this.log = [];
    this.due = 0;
    this.places.clear();
    this.next = undefined;
    this.begunAt = this.now();
  }

  /** True where nothing kept a leader from telling, since the last item was shown. */
  private isClean(): boolean {
    const ms = cleanMs + this.now() - this.shownAt;
    return ["bus", ...controllerNames].every((place) => this.troubles.isClean(place, ms));
  }
}
