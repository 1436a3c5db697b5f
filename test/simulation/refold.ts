// The log folded once more, held against what the controllers have made of it, and against what lies in the buckets.
import type { BucketName } from "../../services/bus/subjects.ts";
import { bucketOrder, subjectsOf } from "../../services/bus/subjects.ts";
import { differencesOf } from "../../services/controller/verify.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { ReadState } from "../../services/core/model.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import type { LogEntry, Observer } from "./observer.ts";
import { withoutLater } from "./world/next-version.ts";
import type { ControllerProcess } from "./world/controller.ts";
import type { World } from "./world/world.ts";

/** The log is folded anew each time it has grown so much. */
const recordsPerRefold = 1000;
/** The buckets are compared each time it has grown so much. */
const recordsPerLook = 200;
/**
 * A bucket may differ for so long, while nothing is wrong with it or the leader: a watch that lost its consumer, or its news, and
 * with it a hand edit, finds out by itself only then.
 */
const lastsMs = 30_000;
/** Of two texts that differ, so much from before where they do, and in all. */
const shown = { before: 40, all: 120 };

const { buckets } = subjectsOf("default");
const decoder = new TextDecoder();

export class Refold {
  private state = emptyState();
  /** Records of the archive folded so far, and which archive that was. */
  private folded = 0;
  /** Those of them that no leader wrote. */
  private strays: number[] = [];
  private losses = 0;
  /** Records seen when each was last done. */
  private leaderAt = 0;
  private bucketsAt = 0;
  /** Seen when buckets were compared last. */
  private powerCuts = 0;
  private meddled = 0;
  /** Of the leader that was compared last. */
  private epoch = 0;
  /** `bucket key` → since when it differs. */
  private wrong = new Map<string, number>();

  /** To be called from time to time: compares what is due. */
  look(world: World): void {
    const { records, state } = world.observer;
    // A leader that has just begun may have come by way of a snapshot, or read the log while it grew.
    const isDue = records - this.leaderAt >= recordsPerRefold || state.epoch !== this.epoch;
    if (isDue && this.compare(world)) {
      this.leaderAt = records;
      this.epoch = state.epoch;
    }
    // A power cut may take from a bucket what it leaves in the log.
    const { powerCuts } = world.server.counters;
    const isBucketsDue =
      records - this.bucketsAt >= recordsPerLook || powerCuts > this.powerCuts || world.meddled > this.meddled;
    if (isBucketsDue && this.compareBuckets(world)) {
      this.bucketsAt = records;
      this.powerCuts = powerCuts;
      this.meddled = world.meddled;
    }
  }

  /**
   * Folds the log and compares it with the state of each controller that has come as far. False when none of them leads: one
   * that is behind tells nothing.
   */
  compare({ observer, controllers }: World): boolean {
    this.beginAnew(observer);
    const views = controllers
      .flatMap((controller) => ({ controller, state: controller.view?.state }))
      .flatMap(({ controller, state }) => (state === undefined ? [] : [{ controller, state }]))
      .toSorted((a, b) => a.state.sequence - b.state.sequence);
    let hasLeader = false;
    for (const { controller, state } of views) {
      if (state.logId === "" || state.sequence < this.state.sequence) continue;
      this.foldTo(observer, state.sequence);
      // It has read records since its last event that a power cut has taken.
      if (this.state.sequence < state.sequence && observer.losses.length > 0) continue;
      if (this.isSameLog(state)) this.held(observer, controller, state);
      else if (controller.leads && observer.losses.length === 0) {
        observer.violate(
          "8",
          `${controller.name} leads, and holds event ${state.accepted} for another than the log does`,
        );
      }
      hasLeader ||= controller.leads;
    }
    return hasLeader;
  }

  /** Folds all of the log. */
  whole({ observer }: World): void {
    this.beginAnew(observer);
    this.foldTo(observer, Infinity);
    const what = differing(this.state, observer.state);
    if (what !== null) observer.violate("8", `two folds of one log differ: ${what}`);
  }

  private held(observer: Observer, { name }: ControllerProcess, state: ReadState): void {
    const what = differing(this.expected(observer, state), state);
    if (what !== null) observer.violate("8", `${name} has folded record ${state.sequence} to another state: ${what}`);
  }

  /** A stray record that is gone again was counted, or not, as the log was read before or after. */
  private expected({ gone }: Observer, { foreign }: ReadState): ReadState {
    const { state } = this;
    const least = state.foreign - this.strays.filter((sequence) => gone.has(sequence)).length;
    return foreign >= least && foreign < state.foreign ? { ...state, foreign } : state;
  }

  private isSameLog({ accepted, lastEventId, logId }: ReadState): boolean {
    const own = this.state;
    return own.accepted === accepted && own.lastEventId === lastEventId && own.logId === logId;
  }

  private beginAnew({ losses }: Observer): void {
    if (losses.length === this.losses) return;
    this.state = emptyState();
    this.folded = 0;
    this.strays = [];
    this.losses = losses.length;
  }

  /** Goes on where it was, or a long log would take its time. */
  private foldTo({ archive }: Observer, upTo: number): void {
    for (; this.folded < archive.length; this.folded += 1) {
      const { sequence, data } = archive[this.folded] as LogEntry;
      if (sequence > upTo) return;
      const { outcome } = foldRecord(this.state, { sequence, event: parsed(decoder.decode(data)) });
      if (outcome === "foreign") this.strays.push(sequence);
    }
  }

  /** Holds buckets against the log while the leader says that it has written all there is. True when they were equal, or said to differ. */
  private compareBuckets({ observer, controllers, server, timeline, troubles }: World): boolean {
    const { state } = observer;
    const leader = controllers.find(({ name, leads }) => leads && name === state.leader);
    const view = leader?.view;
    const isIdle = view?.queues?.projections === 0 && view.state.lastEventId === state.lastEventId;
    const wrong = new Map<string, number>();
    if (leader === undefined || !isIdle) {
      this.wrong = wrong;
      return false;
    }
    // A leader of the next version says more in each value.
    const held = (bucket: BucketName): Map<string, string> =>
      new Map([...server.keys.values(buckets[bucket])].map(([key, value]) => [key, withoutLater(value)]));
    const found = bucketOrder.flatMap((bucket) => differencesOf(state, bucket, held(bucket)));
    const isClean = [leader.name, "bus"].every((place) => troubles.isClean(place, lastsMs));
    let isSaid = false;
    for (const { bucket, key, kind, expected, found: value } of found) {
      const since = this.wrong.get(`${bucket} ${key}`) ?? timeline.now;
      wrong.set(`${bucket} ${key}`, since);
      if (!isClean || timeline.now - since < lastsMs) continue;
      isSaid = true;
      const what = difference(expected ?? "nothing", value ?? "nothing");
      observer.violate("8", `${bucket} ${key} is ${kind} while the leader has nothing to write: ${what}`);
    }
    this.wrong = wrong;
    return isSaid || found.length === 0;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is found, and what was expected, from shortly before the first character in which they differ. */
function difference(expected: string, found: string): string {
  let at = 0;
  while (at < expected.length && expected[at] === found[at]) at += 1;
  const [is, not] = [found, expected].map((text) => text.slice(Math.max(0, at - shown.before)).slice(0, shown.all));
  return `${is}, not ${not}`;
}

/** The first line in which two states differ, or null. */
function differing(expected: ReadState, found: ReadState): string | null {
  const [left, right] = [encodeState(expected), encodeState(found)];
  for (;;) {
    const [one, other] = [left.next(), right.next()];
    if (one.done === true && other.done === true) return null;
    if (one.value !== other.value) return difference(String(one.value), String(other.value));
  }
}
