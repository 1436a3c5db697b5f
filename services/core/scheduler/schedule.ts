// The scheduler: ranks the nodes for pods of one template, or says in a user's words why there is none.
// Called by reconcile for new and pending pods. It changes nothing but the candidates it is given.
import type { Code } from "../../kernel/errors.ts";
import type { Key, ReadState, ReadWorkload, Template } from "../model.ts";
import { filters } from "./filters.ts";
import { Ranking } from "./ranking.ts";
import type { Candidate } from "./room.ts";
import { binpack, spread } from "./scorers.ts";

/** The nodes for pods of that template, best first. Same input, same order, whatever the order of nodes in the state. */
export function rank(
  state: ReadState,
  candidates: readonly Candidate[],
  workload: Key,
  template: Template,
  placement: ReadWorkload["spec"]["placement"],
): Ranking {
  const active = filters.filter((filter) => filter.applies(template));
  const score = placement === "binpack" ? binpack : spread;
  return new Ranking(
    candidates,
    (candidate) => active.every((filter) => filter.check(template, candidate, state, candidates)),
    (candidate) => score(workload, template, candidate),
  );
}

/** Why no node was found for a pod of that template. */
export function refusal(
  state: ReadState,
  candidates: readonly Candidate[],
  template: Template,
): { reason: Code; message: string } {
  if (candidates.length === 0) return { reason: "NO_NODES", message: "No node has joined the cluster yet." };
  const active = filters.filter((filter) => filter.applies(template));
  const refusals = new Map<string, number>();
  for (const candidate of candidates) {
    const refusing = active.find((filter) => !filter.check(template, candidate, state, candidates));
    if (refusing !== undefined) refusals.set(refusing.name, (refusals.get(refusing.name) ?? 0) + 1);
  }
  return explain(candidates, template, refusals);
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
