// Damage to what is stored, and what an operator does about it: has the leader make all anew, or, where no controller can lead
// any more, restores a backup.
import { rebuilt } from "../wishes.ts";
import type { Chance } from "../chance.ts";
import type { LogEntry } from "../observer.ts";
import { restore } from "./restoring.ts";
import type { ControllerProcess } from "./controller.ts";
import type { World } from "./world.ts";

/** A backup is older than the log's end by so many records at most. */
const mostUnsaved = 60;
/** Records this close to the log's end are left: they may be under way still. */
const newest = 5;
/** A snapshot that broke is found after four minutes, by a leader that is there for so long: two that break within this may be all there were. */
const foundMs = 600_000;
const lookMs = 10_000;

export class Damage {
  private readonly world: World;
  private readonly chance: Chance;
  /** When something broke, or all was restored: why controllers ended before says nothing. */
  private damagedAt = -Infinity;
  /** When something broke. */
  private brokenAt = -Infinity;
  /** Until then it may be that nobody can lead. */
  private fatalUntil = -Infinity;
  /** A record is missing in the log: there may be one snapshot alone from which it can be read. */
  private hasHole = false;
  private isLooking = false;
  private isRestoring = false;
  /** The log is gone until its operator restores it. */
  private isLogGone = false;

  constructor(world: World) {
    this.world = world;
    this.chance = world.chance.stream("damage");
  }

  /** One of the snapshots breaks in one of the ways in which it can, or all are gone. */
  breakSnapshots(strength: number): void {
    const { server } = this.world;
    const isAll = strength < 0.1;
    this.noted(isAll || this.hasHole);
    if (isAll) server.meddler.deleteSnapshots();
    else server.meddler.breakSnapshot(this.chance, strength > 0.6);
  }

  /** A leader makes both snapshots at the log's very end then, to cut all the rest: a power cut may take what they are of. */
  fillLog(): void {
    this.noted(!this.world.synced);
  }

  /** A record is gone from the middle of the log. The operator hears of it, and has the leader make a snapshot behind it. */
  loseRecord(strength: number): () => void {
    const { server, observer, operators } = this.world;
    const { first, last } = server.log();
    const sequence = first + Math.floor((last - newest - first) * strength);
    if (sequence <= first) return () => {};
    this.noted(true);
    this.hasHole = true;
    this.world.trace.note("world", "a record is gone", { sequence, last });
    server.meddler.removeRecord(sequence);
    observer.gone.add(sequence);
    return () => void operators[0]?.order([rebuilt()]);
  }

  /**
   * The bus loses its store, or the log alone. Its operator stops the controllers, restores a backup that is some records old,
   * and starts them.
   */
  loseLog(strength: number, isAlone: boolean): () => void {
    const { server, observer } = this.world;
    const { archive, state } = observer;
    const backup = archive.slice(0, Math.ceil(archive.length - strength * mostUnsaved));
    if (!isAlone) this.bar();
    if (isAlone) server.meddler.deleteLog();
    else server.wipe();
    this.world.look();
    this.isLogGone = true;
    return () => {
      this.isLogGone = false;
      if (observer.state.logId !== "") observer.violate("12", "a log was begun anew beside what is left of another");
      this.restore(backup, state.clusterUid, isAlone);
    };
  }

  private noted(isFatal: boolean): void {
    const { now } = this.world.timeline;
    if (isFatal || now - this.damagedAt < foundMs) this.fatalUntil = now + foundMs;
    this.damagedAt = this.brokenAt = now;
    if (!this.isLooking) this.lookOn();
  }

  private get isFatal(): boolean {
    const { timeline, lostPowerAt } = this.world;
    // A snapshot that was just made may have gone with the power, and the one before it broken.
    return timeline.now < this.fatalUntil || Math.abs(lostPowerAt - this.brokenAt) < foundMs;
  }

  private lookOn(): void {
    const { timeline } = this.world;
    // The power may go just before what is broken would be found.
    this.isLooking = timeline.now < Math.max(this.fatalUntil, this.brokenAt + 2 * foundMs);
    if (this.isLooking) timeline.after(lookMs, () => this.look());
  }

  /** Where every controller ends since the log and the snapshots do not tell the state, it is restored from a backup of all. */
  private look(): void {
    const { controllers, observer, server } = this.world;
    const isOut = ({ lastEnd }: ControllerProcess): boolean =>
      lastEnd?.code === "LOG_INCOMPLETE" && lastEnd.at > this.damagedAt;
    // One that waits for its update, or ends for want of it, has no say.
    const waits = ({ view, lastEnd }: ControllerProcess): boolean =>
      view?.isIdle ?? lastEnd?.code === "LOG_UNKNOWN_EVENT";
    const isDead = controllers.some(isOut) && controllers.every((one) => isOut(one) || waits(one));
    const isLed = controllers.some(({ leads }) => leads);
    if (isDead && !isLed && this.isFatal && !this.isRestoring && !this.isLogGone) {
      const backup = [...observer.archive];
      const { clusterUid } = observer.state;
      this.bar();
      server.wipe();
      this.world.look();
      this.restore(backup, clusterUid, false);
    }
    this.lookOn();
  }

  private bar(): void {
    const { controllers } = this.world;
    for (const controller of controllers) controller.isBarred = true;
    for (const controller of controllers) controller.kill();
  }

  private restore(backup: readonly LogEntry[], clusterUid: string, isAlone: boolean): void {
    const { controllers, observer, timeline } = this.world;
    if (this.isRestoring) return;
    this.isRestoring = true;
    const over = this.world.troubles.begin("bus", "restoring");
    this.bar();
    observer.isReplaying = true;
    void restore(this.world, backup, clusterUid, isAlone).then((problem) => {
      observer.isReplaying = false;
      this.isRestoring = this.hasHole = false;
      over();
      // Why controllers ended before says nothing of the log there is now.
      this.damagedAt = timeline.now;
      if (problem !== null) observer.violate("restore", problem);
      for (const controller of controllers) controller.isBarred = false;
      for (const controller of controllers) controller.start();
    });
  }
}
