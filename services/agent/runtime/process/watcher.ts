// Notices that runs end. The wrapper of this driver's own runs is a child process, whose end the system tells. Runs
// taken over from an earlier agent are no children: their folder is watched, and they are looked at each second.
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import type { DriverEvents } from "../driver.ts";
import { watchFolder } from "./logs.ts";

/** What no event tells (a killed wrapper) shows this late. */
const lookEvery = 1000;

/** Asks what a run is doing: true while it runs. */
export type StillRuns = (id: string) => Promise<boolean>;

export class ProcessWatcher {
  private readonly clock: Clock;
  private readonly stillRuns: StillRuns;
  private readonly listeners = new Set<DriverEvents>();
  /** Runs that are no living child of this process: id → pod, and the end of its folder's watch. */
  private readonly adopted = new Map<string, { readonly pod: string; readonly stop: () => void }>();
  private readonly looking = new Set<string>();
  private cancelLooks: Cancel | undefined;

  constructor(clock: Clock, stillRuns: StillRuns) {
    this.clock = clock;
    this.stillRuns = stillRuns;
  }

  add(events: DriverEvents): Cancel {
    this.listeners.add(events);
    this.cancelLooks ??= this.clock.every(lookEvery, () => {
      for (const id of this.adopted.keys()) void this.look(id);
    });
    return () => {
      this.listeners.delete(events);
      if (this.listeners.size === 0) this.close();
    };
  }

  tell(id: string, pod: string): void {
    for (const events of this.listeners) events.onChange(id, pod);
  }

  /** Watches a running container that is no child; telling once when it ends. */
  adopt(id: string, pod: string, runFolder: string): void {
    if (this.listeners.size === 0 || this.adopted.has(id)) return;
    const stop = watchFolder(runFolder, () => void this.look(id));
    this.adopted.set(id, { pod, stop });
  }

  forget(id: string): void {
    this.adopted.get(id)?.stop();
    this.adopted.delete(id);
  }

  close(): void {
    this.cancelLooks?.();
    this.cancelLooks = undefined;
    for (const id of this.adopted.keys()) this.forget(id);
    this.listeners.clear();
  }

  /** Never rejects. One look per container at a time. */
  private async look(id: string): Promise<void> {
    if (this.looking.has(id)) return;
    this.looking.add(id);
    try {
      const known = this.adopted.get(id);
      if (!known || (await this.stillRuns(id))) return;
      this.forget(id);
      this.tell(id, known.pod);
    } catch {
      // The files could not be read this time; the next look is a second away.
    } finally {
      this.looking.delete(id);
    }
  }
}
