// What pods have been promised of a node, added up by itself: the sums that the state keeps may be wrong.
import type { Resources, State } from "../../services/core/model.ts";

/**
 * How much more than a node has is promised to its pods, of what one asks for that was given to it last; null when it is not. A node
 * may have less than before, and who asks for nothing of that has room there.
 */
export function overPromised({ nodes, pods, workloads }: State, id: string, asked: Resources): string | null {
  const node = nodes.get(id);
  if (node === undefined) return null;
  let cpuMillis = 0;
  let memoryBytes = 0;
  let count = 0;
  for (const key of node.pods) {
    const pod = pods.get(key);
    if (pod === undefined || pod.ended) continue;
    const requests = workloads.get(pod.workload)?.templates.get(pod.template)?.requests;
    cpuMillis += requests?.cpuMillis ?? 0;
    memoryBytes += requests?.memoryBytes ?? 0;
    count += 1;
  }
  const { capacity } = node.facts;
  const isCpuLess = cpuMillis > capacity.cpuMillis && asked.cpuMillis > 0;
  const isMemoryLess = memoryBytes > capacity.memoryBytes && asked.memoryBytes > 0;
  if (!isCpuLess && !isMemoryLess && count <= capacity.pods) return null;
  return `${cpuMillis}m of ${capacity.cpuMillis}m, ${memoryBytes} of ${capacity.memoryBytes} bytes, ${count} of ${capacity.pods} pods`;
}
