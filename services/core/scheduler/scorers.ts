// Scorers: of the nodes that may, which is best? Lower is better; equal scores go to the smaller node id.
import type { Key, Template } from "../model.ts";
import type { Candidate } from "./room.ts";

/** Share of the node that would be reserved with the pod on it: the larger of CPU and memory. */
function load(template: Template, { node, reserved }: Candidate): number {
  const { cpuMillis, memoryBytes } = node.facts.capacity;
  const cpu = cpuMillis === 0 ? 0 : (reserved.cpuMillis + template.requests.cpuMillis) / cpuMillis;
  const memory = memoryBytes === 0 ? 0 : (reserved.memoryBytes + template.requests.memoryBytes) / memoryBytes;
  return Math.max(cpu, memory);
}

export type Score = readonly [first: number, second: number, third: number];

/** Fewest pods of the same workload, then the least reserved, then the fewest pods. */
export function spread(workload: Key, template: Template, candidate: Candidate): Score {
  return [candidate.perWorkload.get(workload) ?? 0, load(template, candidate), candidate.pods];
}

/** A node in use before an empty one, then the most reserved, then the most pods. */
export function binpack(_workload: Key, template: Template, candidate: Candidate): Score {
  return [candidate.pods > 0 ? 0 : 1, -load(template, candidate), -candidate.pods];
}

export function better(a: Score, b: Score): boolean {
  for (let index = 0; index < 3; index++) {
    const left = a[index] ?? 0;
    const right = b[index] ?? 0;
    if (left !== right) return left < right;
  }
  return false;
}
