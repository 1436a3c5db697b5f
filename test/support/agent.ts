// What tests of the agent share: pods to assign, containers as an engine shows them, a clock that stands still until it
// is moved, and a disk in memory.
import type { AssignedPod, Container } from "../../schemas/generated/types.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import type { Cancel, Clock } from "../../services/kernel/clock.ts";
import type { Disk } from "../../services/kernel/disk.ts";
import { SwainError } from "../../services/kernel/errors.ts";

/** A pod `default/<name>` of one container without ports. */
export function podNamed(name: string, more: Partial<AssignedPod> = {}): AssignedPod {
  return {
    namespace: "default",
    name,
    workload: name.replace(/-\d+$/, ""),
    slot: 0,
    generation: 1,
    desired: "run",
    restartPolicy: "Always",
    stopGraceMs: 100,
    containers: [{ name: "web", sim: {} }],
    ...more,
  };
}

export function containerOf(pod: AssignedPod, name: string, more: Partial<ContainerInfo> = {}): ContainerInfo {
  const key = `${pod.namespace}/${pod.name}`;
  return { id: `id-${name}`, pod: key, name, state: "running", oomKilled: false, ports: [], ...more };
}

export const httpPort: NonNullable<Container["ports"]> = [{ name: "http", containerPort: 80 }];

/** Time moves only by `advance`; timers due on the way run in order. */
export class ManualClock implements Clock {
  private now = 1000;
  private readonly timers = new Set<{ at: number; fn: () => void; every: number | null }>();

  private slept = 0;

  wall(): number {
    return this.now + this.slept;
  }

  /** The machine slept: only the clock on the wall went on. */
  sleep(ms: number): void {
    this.slept += ms;
  }

  mono(): number {
    return this.now;
  }

  /** The process stood still: time went on, and no timer ran. */
  jump(ms: number): void {
    this.now += ms;
  }

  after(ms: number, fn: () => void): Cancel {
    return this.add({ at: this.now + ms, fn, every: null });
  }

  every(ms: number, fn: () => void): Cancel {
    return this.add({ at: this.now + ms, fn, every: ms });
  }

  /** Timers that are set now. */
  get pending(): number {
    return this.timers.size;
  }

  /** Lets time pass, and what follows from it happen. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms;
    await settle();
    for (;;) {
      const due = [...this.timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.now = Math.max(this.now, due.at);
      if (due.every === null) this.timers.delete(due);
      else due.at += due.every;
      due.fn();
      await settle();
    }
    this.now = until;
    await settle();
  }

  private add(timer: { at: number; fn: () => void; every: number | null }): Cancel {
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }
}

/** Lets everything run that needs no time to pass. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Files in memory; `fail` makes every write fail. */
export class MemoryDisk implements Disk {
  readonly files = new Map<string, string>();
  fail = false;

  async read(path: string): Promise<string | null> {
    return this.files.get(path) ?? null;
  }

  async writeAtomic(path: string, content: string): Promise<void> {
    if (this.fail) throw new SwainError("DISK_ERROR", `cannot write ${path}`);
    this.files.set(path, content);
  }

  async remove(path: string): Promise<void> {
    this.files.delete(path);
  }

  async list(folder: string): Promise<string[]> {
    const names = [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`));
    return names.map((path) => path.slice(folder.length + 1)).sort();
  }
}
