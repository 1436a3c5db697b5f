// Follows a log for ever: one consumer after another, each begun where the last one ended. Compares, besides, how far it
// has come with where the stream ends: heartbeats alone do not show a consumer that lives and delivers nothing, nor a
// stream that was made anew or lost its end.
import type { Cancel } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import { openConsumer } from "./consumer.ts";
import { keepOpen } from "./heal.ts";
import { apiCall, isLed } from "./jetstream-api.ts";
import type { StreamInfo } from "./jetstream-api.ts";
import type { LogRecord } from "./port.ts";
import type { Wire } from "./wire.ts";

interface Tail {
  readonly first: number;
  readonly last: number;
}

interface FollowHandlers {
  readonly onRecord: (record: LogRecord) => void;
  /** The stream does not hold what would come next; nothing follows. */
  readonly onBroken: (tail: Tail) => void;
  /** A record of the stream; null where it is not there. */
  readonly get: (sequence: number) => Promise<LogRecord | null>;
}

const lookMs = 5000;

/** What `LogStore.follow` promises. */
export function followStream(wire: Wire, stream: string, from: number, handlers: FollowHandlers): Cancel {
  const place: Place = { next: Math.max(1, from), created: undefined, newest: null };
  const stop = keepOpen(wire, stream, (onLost) => {
    const run = new Run(wire, stream, place, {
      ...handlers,
      onLost,
      onBroken: (tail) => {
        const { first, last } = tail;
        wire.logger.error("the log does not go on where it was read up to", { stream, next: place.next, first, last });
        stop();
        handlers.onBroken(tail);
      },
    });
    return () => run.end();
  });
  return stop;
}

/** Where a follower stands, kept over all its consumers. */
interface Place {
  /** The sequence it waits for. */
  next: number;
  /** When the stream was made, as last seen. */
  created: string | undefined;
  /** The record before the one it waits for; null where nothing was read, or that was cut away. */
  newest: LogRecord | null;
}

interface RunHandlers extends FollowHandlers {
  readonly onLost: (error: SwainError) => void;
}

/** One consumer of a follower. It is opened only after the stream was seen to hold what comes next. */
class Run {
  private readonly wire: Wire;
  private readonly stream: string;
  private readonly place: Place;
  private readonly handlers: RunHandlers;
  private readonly ticking: Cancel;
  private live = true;
  private looking = false;
  private close: Cancel | undefined;
  /** A later record came than the one that was due. */
  private gap = false;
  /** What was waited for at the last look, when records were there. */
  private waitedFor: number | undefined;

  constructor(wire: Wire, stream: string, place: Place, handlers: RunHandlers) {
    this.wire = wire;
    this.stream = stream;
    this.place = place;
    this.handlers = handlers;
    this.ticking = wire.clock.every(lookMs, () => void this.look());
    void this.look();
  }

  end(): void {
    this.live = false;
    this.ticking();
    this.close?.();
  }

  private async look(): Promise<void> {
    if (this.looking || this.wire.state() !== "connected") return;
    this.looking = true;
    const asked = this.place.next;
    try {
      const info = await apiCall<StreamInfo>(this.wire, `STREAM.INFO.${this.stream}`, undefined);
      if (!isLed(info)) throw new SwainError("JETSTREAM_ERROR", `stream ${this.stream} has no leader`);
      const isSame = await this.isSame(info.created);
      if (this.live) this.judge(info, asked, isSame);
    } catch (error) {
      // Without a consumer nothing else would notice; with one its heartbeats decide.
      if (this.live && this.close === undefined) this.handlers.onLost(asSwainError(error));
    } finally {
      this.looking = false;
    }
  }

  /**
   * Whether it is the stream that was read so far. Where several controllers made it at once, each server may have another time
   * at which it was made, and tell that once it leads the stream; so the newest record that was read decides.
   */
  private async isSame(created: string): Promise<boolean> {
    const { place, handlers } = this;
    if (created === place.created) return true;
    if (place.next > 1) {
      const { newest } = place;
      const stored = await handlers.get(newest?.sequence ?? place.next - 1);
      if (place.created === undefined) place.newest ??= stored;
      else if (newest === null || stored?.time !== newest.time) return false;
    }
    place.created = created;
    return true;
  }

  private judge(info: StreamInfo, asked: number, isSame: boolean): void {
    const { place } = this;
    const { first_seq: first, last_seq: last, messages } = info.state;
    const isCut = messages > 0 ? first > place.next : last >= place.next;
    if (this.gap || isCut || last < asked - 1 || !isSame) {
      this.handlers.onBroken({ first: messages === 0 ? last + 1 : first, last });
    } else if (this.close === undefined) {
      this.close = this.open();
    } else if (this.waitedFor === place.next && last >= place.next) {
      this.handlers.onLost(new SwainError("JETSTREAM_ERROR", `the consumer delivers nothing from ${place.next} on`));
    } else {
      this.waitedFor = last >= place.next ? place.next : undefined;
    }
  }

  private open(): Cancel {
    const { place } = this;
    const options = { stream: this.stream, start: { sequence: place.next } };
    return openConsumer(this.wire, options, {
      onMessage: (record) => {
        if (this.gap || record.sequence < place.next) return;
        if (record.sequence > place.next) {
          this.gap = true;
          void this.look();
          return;
        }
        place.next += 1;
        place.newest = record;
        this.handlers.onRecord(record);
      },
      onLost: this.handlers.onLost,
    });
  }
}
