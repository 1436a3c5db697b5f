// Admission of `rollout undo`: an earlier template, applied anew.
import { SwainError } from "../../kernel/errors.ts";
import type { ReadState } from "../model.ts";
import { withTemplateOf } from "../template.ts";
import type { Admitted } from "./apply.ts";
import { workloadOf } from "./change.ts";

/**
 * Applies the template of that generation, or the one before the current. Count and rules of the workload stay, and pods
 * that still run that template become current again. Throws NOT_FOUND, or NO_EARLIER_TEMPLATE with those there are.
 */
export function admitUndo(state: ReadState, namespace: string, name: string, to: number | undefined): Admitted {
  const workload = workloadOf(state, namespace, name);
  const current = workload.template.generation;
  const earlier = workload.history.filter(({ generation }) => generation !== current);
  if (to === current) return { items: [], results: [{ kind: "Workload", namespace, name, action: "unchanged" }] };
  const wanted = to === undefined ? earlier.at(-1) : earlier.find(({ generation }) => generation === to);
  if (wanted === undefined) {
    const known = earlier.map(({ generation }) => generation).join(", ");
    const what = to === undefined ? "an earlier template" : `a template of generation ${to}`;
    const message = `Workload ${name} has not ${what}; there are ${known === "" ? "none" : known} beside the current ${current}.`;
    throw new SwainError("NO_EARLIER_TEMPLATE", message);
  }
  const { labels } = workload;
  const spec = withTemplateOf(workload.spec as Parameters<typeof withTemplateOf>[0], wanted.spec as never);
  return {
    items: [{ kind: "workload", verb: "applied", namespace, name, labels: { ...labels }, spec }],
    results: [{ kind: "Workload", namespace, name, action: "undone" }],
  };
}
