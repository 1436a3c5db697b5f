// What this machine, or the control group this process is in, may use. Reads the system directly: called by main.ts only.
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import type { Capacity } from "../../../schemas/generated/types.ts";

/** Reads a file of the system; null when it is not there. */
export type ReadText = (path: string) => string | null;

/** The most pods of one agent: about what container engines are run with. */
const maxPods = 250;
/** Groups above v1's "no limit", which is the largest multiple of a page below 2^63. */
const unlimitedBytes = 2 ** 60;

const systemText: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
};

/** Capacity of the machine, or of the control group where that is smaller; divided by `split` agents. */
export function detectCapacity(
  split: number,
  machine: { readonly cpus: number; readonly memoryBytes: number } = {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  },
  read: ReadText = systemText,
): Capacity {
  const groups = groupsOf(read("/proc/self/cgroup") ?? "");
  const cpus = Math.min(machine.cpus, cpuLimit(groups, read) ?? Infinity);
  const memory = Math.min(machine.memoryBytes, memoryLimit(groups, read) ?? Infinity);
  return {
    cpuMillis: Math.floor((cpus * 1000) / split),
    memoryBytes: Math.floor(memory / split),
    pods: Math.max(1, Math.floor(maxPods / split)),
  };
}

/** The group of this process, per controller; v2 has one for all under the empty name. */
function groupsOf(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) groups.set(controller, path);
  }
  return groups;
}

/** The group's folder and all above it, whose limits hold too. Inside a container the group's own folder is the root. */
function folders(root: string, path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "..");
  return [...parts.keys()].map((at) => `${root}/${parts.slice(0, at + 1).join("/")}`).concat(root);
}

function smallest(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function cpuLimit(groups: ReadonlyMap<string, string>, read: ReadText): number | null {
  const v2 = folders("/sys/fs/cgroup", groups.get("") ?? "/").map((folder) => {
    const [quota, period] = (read(`${folder}/cpu.max`) ?? "").trim().split(/\s+/).map(Number);
    return share(quota, period);
  });
  const v1 = ["cpu", "cpu,cpuacct"].flatMap((mount) =>
    folders(`/sys/fs/cgroup/${mount}`, groups.get("cpu") ?? "/").map((folder) =>
      share(numberIn(read(`${folder}/cpu.cfs_quota_us`)), numberIn(read(`${folder}/cpu.cfs_period_us`))),
    ),
  );
  return smallest([...v2, ...v1]);
}

/** Cores; null when there is no limit (`max` and -1 are none). */
function share(quota: number | undefined, period: number | undefined): number | null {
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : null;
}

function memoryLimit(groups: ReadonlyMap<string, string>, read: ReadText): number | null {
  const v2 = folders("/sys/fs/cgroup", groups.get("") ?? "/").map((folder) => bytesIn(read(`${folder}/memory.max`)));
  const v1 = folders("/sys/fs/cgroup/memory", groups.get("memory") ?? "/").map((folder) =>
    bytesIn(read(`${folder}/memory.limit_in_bytes`)),
  );
  return smallest([...v2, ...v1]);
}

function bytesIn(text: string | null): number | null {
  const bytes = numberIn(text);
  return bytes !== undefined && bytes > 0 && bytes < unlimitedBytes ? bytes : null;
}

function numberIn(text: string | null): number | undefined {
  if (text === null || text.trim() === "") return undefined;
  const value = Number(text.trim());
  return Number.isFinite(value) ? value : undefined;
}
