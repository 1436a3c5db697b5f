// Admission of autoscalers: applying one, deleting one, and what changes of a workload that has one are told.
import type { AutoscalerManifest, Problem } from "../../../schemas/generated/types.ts";
import { SwainError } from "../../kernel/errors.ts";
import { isOutside } from "../autoscale/evaluate.ts";
import { defaultNamespace } from "../defaults.ts";
import { doubledAutoscaler } from "../manifest-set.ts";
import { keyOf, type ReadAutoscaler, type ReadState } from "../model.ts";
import { same } from "../same.ts";
import type { Admitted } from "./apply.ts";

type Given = { readonly kind: string; readonly metadata: AutoscalerManifest["metadata"]; readonly spec: unknown };

const namespaceOf = ({ metadata }: Pick<Given, "metadata">): string => metadata.namespace ?? defaultNamespace;

/** All autoscalers that would come second after all documents are applied; `broken` are documents that are wrong otherwise. */
export function doubledAutoscalers(
  state: ReadState,
  documents: readonly unknown[],
  broken: ReadonlySet<number>,
): Problem[] {
  const given = (documents as readonly Given[]).flatMap((manifest, document) =>
    !broken.has(document) && manifest.kind === "Autoscaler"
      ? [{ document, manifest: manifest as AutoscalerManifest }]
      : [],
  );
  const applied = new Set(given.map(({ manifest }) => keyOf(namespaceOf(manifest), manifest.metadata.name)));
  const owners = new Map([...state.autoscalerOf].filter(([, key]) => !applied.has(key)));
  return given.flatMap(({ document, manifest }) => {
    const { workload } = manifest.spec;
    const key = keyOf(namespaceOf(manifest), workload);
    const owner = owners.get(key);
    if (owner === undefined) {
      owners.set(key, keyOf(namespaceOf(manifest), manifest.metadata.name));
      return [];
    }
    return [{ document, ...doubledAutoscaler(workload, owner.slice(owner.indexOf("/") + 1)) }];
  });
}

/** The manifest has its defaults in place. */
export function applyAutoscaler(state: ReadState, manifest: AutoscalerManifest, admitted: Admitted): void {
  const namespace = namespaceOf(manifest);
  const { name, labels = {} } = manifest.metadata;
  const { spec } = manifest;
  const known = state.autoscalers.get(keyOf(namespace, name));
  const unchanged = known !== undefined && same(known.spec, spec) && same(known.labels, labels);
  const action = unchanged ? "unchanged" : known === undefined ? "created" : "configured";
  admitted.results.push({ kind: "Autoscaler", namespace, name, action, ...noteOf(state, manifest, admitted) });
  if (!unchanged) admitted.items.push({ kind: "autoscaler", verb: "applied", namespace, name, labels, spec });
}

/** A workload may come later, so that the order of applies does not matter; but it is said. */
function noteOf(state: ReadState, manifest: AutoscalerManifest, { items }: Admitted): { note?: string } {
  const namespace = namespaceOf(manifest);
  const { workload } = manifest.spec;
  const known = state.workloads.get(keyOf(namespace, workload));
  const comes = items.some(
    (item) =>
      item.kind === "workload" && item.verb === "applied" && item.namespace === namespace && item.name === workload,
  );
  if (comes || (known !== undefined && !known.deleting)) return {};
  return { note: `there is no workload ${workload} in namespace ${namespace} yet` };
}

/** Throws NOT_FOUND. */
export function admitAutoscalerDelete(state: ReadState, namespace: string, name: string): Admitted {
  if (!state.autoscalers.has(keyOf(namespace, name))) {
    throw new SwainError("NOT_FOUND", `There is no autoscaler ${name} in namespace ${namespace}.`);
  }
  return {
    items: [{ kind: "autoscaler", verb: "deleted", namespace, name }],
    results: [{ kind: "Autoscaler", namespace, name, action: "deleted" }],
  };
}

/** What somebody who sets the count of an autoscaled workload should know; empty when it has no autoscaler. */
export function scaleNote(state: ReadState, namespace: string, name: string, replicas: number): { note?: string } {
  const key = state.autoscalerOf.get(keyOf(namespace, name));
  const autoscaler = key === undefined ? undefined : state.autoscalers.get(key);
  return autoscaler === undefined ? {} : { note: wordsOf(autoscaler, replicas) };
}

function wordsOf({ name, spec }: ReadAutoscaler, replicas: number): string {
  const bounds = `${spec.minReplicas} to ${spec.maxReplicas}`;
  if (replicas === 0) return `autoscaler ${name} leaves it alone until it is scaled up again`;
  if (isOutside(replicas, spec)) return `autoscaler ${name} brings it back within ${bounds} at once`;
  return `autoscaler ${name} keeps it within ${bounds} and may change it after its cooldown of ${spec.cooldown}`;
}
