// Use of the whole machine. Asks the system directly: called by main.ts only.
import { readFileSync } from "node:fs";
import { cpus, freemem, totalmem } from "node:os";
import type { Usage } from "../../../schemas/generated/types.ts";

/** A reader of the machine's use: CPU since its previous call, memory now; divided by `split` agents, as the capacity is. */
export function machineUsage(split: number): () => Usage {
  let before = ticks();
  return () => {
    const now = ticks();
    const total = now.total - before.total;
    const busy = total <= 0 ? 0 : (now.busy - before.busy) / total;
    before = now;
    return {
      cpuMillis: Math.round((busy * cpus().length * 1000) / split),
      memoryBytes: Math.round((totalmem() - available()) / split),
    };
  };
}

function ticks(): { busy: number; total: number } {
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.irq + times.idle;
    busy += all - times.idle;
    total += all;
  }
  return { busy, total };
}

/** Memory that programs can get, caches that would make room included, where the system tells it. */
function available(): number {
  try {
    const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // Not on this system.
  }
  return freemem();
}
