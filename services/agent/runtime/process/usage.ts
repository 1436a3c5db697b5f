// CPU and memory of runs, summed over their processes.
import type { Clock } from "../../../kernel/clock.ts";
import type { ContainerUsage } from "../driver.ts";
import { allProcesses, residentBytes, startedMs, uptimeMs } from "./proc.ts";

interface Sample {
  readonly group: number;
  readonly cpuMs: number;
  readonly at: number;
}

export class UsageReader {
  private readonly clock: Clock;
  private previous = new Map<string, Sample>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** `groups`: container id → process group. */
  async read(groups: ReadonlyMap<string, number>): Promise<Map<string, ContainerUsage>> {
    const result = new Map<string, ContainerUsage>();
    const samples = new Map<string, Sample>();
    const processes = groups.size === 0 ? [] : await allProcesses();
    const uptime = await uptimeMs();
    const at = this.clock.mono();
    for (const [id, group] of groups) {
      const own = processes.filter((found) => found.group === group);
      if (own.length === 0) continue;
      const cpuMs = own.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
      const before = this.previous.get(id);
      const elapsed =
        before?.group === group ? at - before.at : uptime - Math.min(...own.map((found) => startedMs(found)));
      // The time of a child nobody waited for is lost with it, so the sum may fall.
      const used = Math.max(0, cpuMs - (before?.group === group ? before.cpuMs : 0));
      const memory = await Promise.all(own.map(({ pid }) => residentBytes(pid)));
      samples.set(id, { group, cpuMs, at });
      result.set(id, {
        cpuMillis: elapsed > 0 ? Math.round((used / elapsed) * 1000) : 0,
        memoryBytes: memory.reduce((sum, bytes) => sum + bytes, 0),
      });
    }
    this.previous = samples;
    return result;
  }
}
