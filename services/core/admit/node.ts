// Admission of what an agent says about its node.
import type { EventItem, NodeFacts } from "../../../schemas/generated/types.ts";
import type { ReadState } from "../model.ts";
import { same } from "../same.ts";

/** Registers a node, or notes that its facts changed; empty when the state has them already. */
export function admitFacts(state: ReadState, node: string, facts: NodeFacts): EventItem[] {
  const known = state.nodes.get(node);
  if (known !== undefined && same(known.facts, facts)) return [];
  return [{ kind: "node", verb: "registered", name: node, facts }];
}
