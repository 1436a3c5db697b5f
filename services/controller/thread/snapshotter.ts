// Makes snapshots in a thread with a connection of its own, one thread for each job: the leader's loop goes on meanwhile,
// and all the memory a job took is given back when it ends. Called by main.ts; `worker.ts` is what runs in the thread.
import { Worker } from "node:worker_threads";
import { SwainError, isCode } from "../../kernel/errors.ts";
import type { SnapshotOrder, SnapshotReport, Snapshotter } from "../snapshot/port.ts";
import type { Job, Outcome } from "./job.ts";

/** Reading a log of many millions of events takes minutes, once; what takes longer hangs. */
const jobMs = 30 * 60_000;

export class ThreadSnapshotter implements Snapshotter {
  private readonly place: Omit<Job, "order">;
  private current: Worker | undefined;

  constructor(place: Omit<Job, "order">) {
    this.place = place;
  }

  check(): Promise<SnapshotReport> {
    return this.run(null);
  }

  make(order: SnapshotOrder): Promise<SnapshotReport> {
    return this.run(order);
  }

  /** Ends the job under way; what it has written is cleared away by the next one. */
  async close(): Promise<void> {
    await this.current?.terminate();
  }

  private async run(order: SnapshotOrder | null): Promise<SnapshotReport> {
    // One that a leader left behind whose term is over would clear away what this one writes.
    if (this.current !== undefined) await this.close();
    const job: Job = { ...this.place, order };
    return new Promise((resolve, reject) => {
      // What the process was started with, tracing for one, is for the process.
      const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: job, execArgv: [] });
      this.current = worker;
      const timer = setTimeout(() => void worker.terminate(), jobMs);
      worker.once("message", (outcome: Outcome) => {
        if ("report" in outcome) resolve(outcome.report);
        else reject(new SwainError(isCode(outcome.code) ? outcome.code : "INTERNAL", outcome.message));
      });
      worker.once("error", (error) => reject(new SwainError("SNAPSHOT_FAILED", String(error), { cause: error })));
      worker.once("exit", () => {
        clearTimeout(timer);
        if (this.current === worker) this.current = undefined;
        reject(new SwainError("SNAPSHOT_FAILED", "the thread ended before its work"));
      });
    });
  }
}
