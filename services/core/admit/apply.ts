// Admission of an apply: all documents become items of one event, or none do and every problem is told.
import type {
  AutoscalerManifest,
  ChangeResult,
  EventItem,
  Problem,
  ServiceManifest,
  WorkloadManifest,
  WorkloadSpec,
} from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { SwainError } from "../../kernel/errors.ts";
import { withDefaults } from "../defaults.ts";
import { checkManifest } from "../manifest.ts";
import { keyOf, type ReadState } from "../model.ts";
import { same } from "../same.ts";
import { applyAutoscaler, doubledAutoscalers, scaleNote } from "./autoscaler.ts";

type Manifest = WorkloadManifest | ServiceManifest | AutoscalerManifest;

export interface Admitted {
  /** Empty when nothing changes. */
  readonly items: EventItem[];
  readonly results: ChangeResult[];
}

/** Problems told of one apply: nobody reads more, and the answer has to fit a message. */
const problemsMost = 100;

/** Throws INVALID_MANIFEST with `details.problems`, or APPLY_TOO_LARGE. */
export function admitApply(state: ReadState, documents: readonly unknown[]): Admitted {
  const size = JSON.stringify(documents).length;
  if (size > limits.applyBytes) {
    const message = `The documents make ${size} bytes of JSON; one apply may have ${limits.applyBytes}.`;
    throw new SwainError("APPLY_TOO_LARGE", message);
  }
  const problems = problemsOf(state, documents);
  if (problems.length > problemsMost) {
    const message = `The manifests have more than ${problemsMost} problems; the first ${problemsMost} are told.`;
    throw new SwainError("INVALID_MANIFEST", message, { details: { problems: problems.slice(0, problemsMost) } });
  }
  if (problems.length > 0) {
    const message =
      problems.length === 1 ? "The manifest has a problem." : `The manifests have ${problems.length} problems.`;
    throw new SwainError("INVALID_MANIFEST", message, { details: { problems } });
  }
  const admitted: Admitted = { items: [], results: [] };
  // Autoscalers last, whatever their place: they speak of workloads.
  const manifests = documents.map((document) => withDefaults(document as Manifest));
  for (const manifest of manifests) {
    if (manifest.kind === "Workload") applyWorkload(state, manifest, admitted);
    else if (manifest.kind === "Service") applyService(state, manifest, admitted);
  }
  for (const manifest of manifests) if (manifest.kind === "Autoscaler") applyAutoscaler(state, manifest, admitted);
  return admitted;
}

/** Every problem of the documents; where there are too many to be told, not all of them are looked for. */
function problemsOf(state: ReadState, documents: readonly unknown[]): Problem[] {
  const problems: Problem[] = [];
  for (const [index, document] of documents.entries()) {
    const found = checkManifest(document, problemsMost + 1);
    problems.push(...found.map((problem): Problem => ({ document: index, ...problem })));
    if (problems.length > problemsMost) return problems;
  }
  problems.push(...duplicates(documents, brokenOf(problems)));
  problems.push(...doubledAutoscalers(state, documents, brokenOf(problems)));
  return problems;
}

const brokenOf = (problems: readonly Problem[]): ReadonlySet<number> =>
  new Set(problems.map((problem) => problem.document));

/** The same object twice in one apply: the second one would win in silence. */
function duplicates(documents: readonly unknown[], broken: ReadonlySet<number>): Problem[] {
  const seen = new Map<string, number>();
  return documents.flatMap((document, index) => {
    if (broken.has(index)) return [];
    const { kind, metadata } = document as WorkloadManifest;
    const id = `${kind} ${keyOf(metadata.namespace ?? "default", metadata.name)}`;
    const first = seen.get(id);
    seen.set(id, first ?? index);
    if (first === undefined) return [];
    const message = `${id} is in document ${first + 1} already`;
    return [{ document: index, path: "/metadata/name", code: "DUPLICATE", message, value: metadata.name }];
  });
}

function applyWorkload(state: ReadState, manifest: WorkloadManifest, admitted: Admitted): void {
  const namespace = manifest.metadata.namespace ?? "default";
  const { name, labels = {} } = manifest.metadata;
  const known = state.workloads.get(keyOf(namespace, name));
  const current = known === undefined || known.deleting ? undefined : known;
  // Left-out replicas keep the count that scaling or an autoscaler has set.
  const replicas = manifest.spec.replicas ?? current?.spec.replicas ?? 1;
  const spec: WorkloadSpec = { ...manifest.spec, replicas };
  const unchanged = current !== undefined && same(current.spec, spec) && same(current.labels, labels);
  const action = unchanged ? "unchanged" : current === undefined ? "created" : "configured";
  const isSet = manifest.spec.replicas !== undefined && manifest.spec.replicas !== current?.spec.replicas;
  const note = isSet ? scaleNote(state, namespace, name, replicas) : {};
  admitted.results.push({ kind: "Workload", namespace, name, action, ...note });
  if (!unchanged) admitted.items.push({ kind: "workload", verb: "applied", namespace, name, labels, spec });
}

function applyService(state: ReadState, manifest: ServiceManifest, admitted: Admitted): void {
  const namespace = manifest.metadata.namespace ?? "default";
  const { name, labels = {} } = manifest.metadata;
  const known = state.services.get(keyOf(namespace, name));
  const unchanged = known !== undefined && same(known.spec, manifest.spec) && same(known.labels, labels);
  const action = unchanged ? "unchanged" : known === undefined ? "created" : "configured";
  admitted.results.push({ kind: "Service", namespace, name, action });
  if (!unchanged) {
    admitted.items.push({ kind: "service", verb: "applied", namespace, name, labels, spec: manifest.spec });
  }
}
