// CPU and memory of running containers, from the engine's one-shot statistics.
import type { Clock } from "../../../kernel/clock.ts";
import type { ContainerUsage } from "../driver.ts";
import { asSwainError } from "../../../kernel/errors.ts";
import { statusOf } from "./engine.ts";
import type { Engine } from "./engine.ts";
import type { Inspected } from "./inspect.ts";
import { forEachLimited } from "../limited.ts";
import { statsInFlight, timeouts } from "./timeouts.ts";

interface Sample {
  /** CPU time used so far, nanoseconds. */
  readonly cpu: number;
  /** When, milliseconds of the engine's clock. */
  readonly at: number;
}

interface Stats {
  readonly read?: string;
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
}

export class UsageReader {
  private readonly engine: Engine;
  private readonly clock: Clock;
  private previous = new Map<string, Sample>();

  constructor(engine: Engine, clock: Clock) {
    this.engine = engine;
    this.clock = clock;
  }

  /** Of those that run; `inspect` tells when a container started that is seen for the first time. */
  async read(
    ids: readonly string[],
    inspect: (id: string) => Promise<Inspected | null>,
  ): Promise<Map<string, ContainerUsage>> {
    const result = new Map<string, ContainerUsage>();
    const samples = new Map<string, Sample>();
    await forEachLimited(ids, statsInFlight, async (id) => {
      const stats = await this.stats(id);
      const cpu = stats?.cpu_stats?.cpu_usage?.total_usage;
      const memory = stats?.memory_stats?.usage;
      // Whatever runs has used some time. A rootless engine without control groups says 0, which must not pass for idle.
      if (cpu === undefined || cpu === 0 || memory === undefined) return;
      const read = Date.parse(stats?.read ?? "");
      const sample = { cpu, at: Number.isNaN(read) ? this.clock.wall() : read };
      const before = await this.before(id, sample, inspect);
      if (before === null) return;
      samples.set(id, sample);
      result.set(id, {
        cpuMillis: rate(before, sample),
        memoryBytes: Math.max(0, memory - reclaimable(stats?.memory_stats?.stats)),
      });
    });
    this.previous = samples;
    return result;
  }

  /** What the use is counted from: the last sample or the start. Null when the container is not ours. */
  private async before(
    id: string,
    sample: Sample,
    inspect: (id: string) => Promise<Inspected | null>,
  ): Promise<Sample | null> {
    const known = this.previous.get(id);
    // A restart counts from zero again.
    if (known && known.cpu <= sample.cpu) return known;
    const found = await inspect(id);
    if (found === null) return null;
    const started = Date.parse(found.State.StartedAt);
    return { cpu: 0, at: Number.isNaN(started) ? sample.at : started };
  }

  private async stats(id: string): Promise<Stats | null> {
    const query = { stream: false, "one-shot": true };
    const path = `/containers/${id}/stats`;
    try {
      return await this.engine.askAboutOne<Stats>({
        what: `statistics of ${id}`,
        method: "GET",
        path,
        query,
        timeout: timeouts.stats,
      });
    } catch (error) {
      // It ended or was removed meanwhile, or is stuck: the others have figures all the same.
      if (statusOf(error) !== undefined || asSwainError(error).code === "CONTAINER_STUCK") return null;
      throw error;
    }
  }
}

function rate(before: Sample, now: Sample): number {
  const elapsed = now.at - before.at;
  return elapsed > 0 ? Math.round((now.cpu - before.cpu) / 1000 / elapsed) : 0;
}

/** Page cache the kernel drops when somebody needs the memory (cgroup v1, then v2). */
const reclaimable = (stats: Readonly<Record<string, number>> | undefined): number =>
  stats?.["total_inactive_file"] ?? stats?.["inactive_file"] ?? 0;
