// The scheduler: finds a node for one pod, or says in a user's words why there is none.
// Called by reconcile for new and pending pods. It changes nothing but the candidates it is given.
import type { Code } from "../../kernel/errors.ts";
import type { Key, ReadState, ReadWorkload, Template } from "../model.ts";
import { filters } from "./filters.ts";
import type { Candidate } from "./room.ts";
import { better, binpack, type Score, spread } from "./scorers.ts";

export type Placement =
  | { readonly node: Candidate }
  | { readonly node: null; readonly reason: Code; readonly message: string };

/** Chooses the node for a pod of that template. Same input, same answer, whatever the order of nodes in the state. */
export function place(
  state: ReadState,
  candidates: readonly Candidate[],
  workload: Key,
  template: Template,
  placement: ReadWorkload["spec"]["placement"],
): Placement {
  if (candidates.length === 0) {
    return { node: null, reason: "NO_NODES", message: "No node has joined the cluster yet." };
  }
  const active = filters.filter((filter) => filter.applies(template));
  const score = placement === "binpack" ? binpack : spread;
  const refusals = new Map<string, number>();
  let best: { candidate: Candidate; score: Score } | null = null;
  for (const candidate of candidates) {
    const refusing = active.find((filter) => !filter.check(template, candidate, state, candidates));
    if (refusing !== undefined) {
      refusals.set(refusing.name, (refusals.get(refusing.name) ?? 0) + 1);
      continue;
    }
    const points = score(workload, template, candidate);
    if (best === null || better(points, best.score)) best = { candidate, score: points };
  }
  if (best !== null) return { node: best.candidate };
  return { node: null, ...explain(candidates, template, refusals) };
}

function explain(
  candidates: readonly Candidate[],
  template: Template,
  refusals: ReadonlyMap<string, number>,
): { reason: Code; message: string } {
  const parts = filters.flatMap((filter) => {
    const count = refusals.get(filter.name);
    return count === undefined ? [] : [`${count} ${filter.explain(template)}`];
  });
  const total = candidates.length;
  const message = `No node fits (0 of ${total}): ${parts.join(", ")}.`;
  return tooLarge(candidates, template)
    ? {
        reason: "TOO_LARGE_FOR_ANY_NODE",
        message: `${message} It would not fit on any of them even if they were empty.`,
      }
    : { reason: "UNSCHEDULABLE", message };
}

function tooLarge(candidates: readonly Candidate[], { requests }: Template): boolean {
  return candidates.every(
    ({ node: { facts } }) =>
      requests.cpuMillis > facts.capacity.cpuMillis || requests.memoryBytes > facts.capacity.memoryBytes,
  );
}
