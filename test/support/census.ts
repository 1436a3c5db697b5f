// What really runs of a cluster's pods on the process driver, by the processes and not by what any part says: one that was
// started anew has another id, and one that runs twice has two.
import { readdirSync, readFileSync } from "node:fs";
import { parseStat } from "../../services/agent/runtime/process/proc.ts";

/** Of each pod of the cluster, its first processes: the wrapper around the program, named by pid and start. */
export function census(cluster: string): Map<string, string[]> {
  const parents = new Map<number, { readonly pod: string; readonly parent: number; readonly name: string }>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (!variables.includes(`SWAIN_CLUSTER=${cluster}`)) continue;
      const pod = variables.find((each) => each.startsWith("SWAIN_POD="))?.slice("SWAIN_POD=".length);
      const line = readFileSync(`/proc/${pid}/stat`, "utf8");
      const stat = parseStat(line);
      if (pod === undefined || stat === null) continue;
      const parent = Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[1]);
      parents.set(stat.pid, { pod, parent, name: `${stat.pid}@${stat.startTicks}` });
    } catch {
      // Gone meanwhile.
    }
  }
  const found = new Map<string, string[]>();
  for (const { pod, parent, name } of parents.values()) {
    if (parents.get(parent)?.pod === pod) continue;
    found.set(pod, [...(found.get(pod) ?? []), name].toSorted());
  }
  return found;
}

/** Looks again and again, and keeps what no look may see: pods with more than one first process. */
export class Watch {
  readonly doubled: string[] = [];
  looks = 0;
  private readonly cluster: string;
  private readonly timer: NodeJS.Timeout;

  constructor(cluster: string, everyMs = 250) {
    this.cluster = cluster;
    this.timer = setInterval(() => this.look(), everyMs);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    this.looks++;
    for (const [pod, processes] of census(this.cluster)) {
      if (processes.length > 1) this.doubled.push(`${pod}: ${processes.join(", ")}`);
    }
  }
}
