// Checks the documents of one apply together: each by itself, then objects given twice, workloads with two autoscalers, and
// services that ask for a port which their workload, applied along with them, does not have. Called by the CLI; a leader, who
// knows what is there already, has checks of its own.
import type { AutoscalerManifest, ServiceManifest, WorkloadManifest } from "../../schemas/generated/types.ts";
import { defaultNamespace } from "./defaults.ts";
import { checkManifest } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";
import type { ManifestProblem } from "./manifest-problem.ts";
import { didYouMean } from "./nearest.ts";

/** A problem and the index of its document. */
export interface DocumentProblem extends ManifestProblem {
  readonly document: number;
}

/** Every problem of the documents, by document. Empty = all of them are Manifests. */
export function checkManifests(documents: readonly unknown[]): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  const seen = new Set<string>();
  const workloads = new Map<string, WorkloadManifest>();
  const services: { document: number; manifest: ServiceManifest }[] = [];
  /** Workload → the autoscaler it has. */
  const scaled = new Map<string, string>();
  for (const [document, value] of documents.entries()) {
    const own = checkManifest(value);
    problems.push(...own.map((problem) => ({ document, ...problem })));
    const object = identity(value);
    if (object !== undefined && seen.has(object.key)) {
      const message = `${object.key} is there already in what is applied together`;
      problems.push({ document, path: "/metadata/name", code: "DUPLICATE", message, value: object.name });
      continue;
    }
    if (object !== undefined) seen.add(object.key);
    if (own.length > 0) continue;
    const manifest = value as Manifest;
    if (manifest.kind === "Workload") workloads.set(`${namespaceOf(manifest)}/${manifest.metadata.name}`, manifest);
    else if (manifest.kind === "Service") services.push({ document, manifest });
    else problems.push(...doubled(document, manifest, scaled));
  }
  for (const { document, manifest } of services) {
    const workload = workloads.get(`${namespaceOf(manifest)}/${manifest.spec.selector?.workload ?? ""}`);
    if (workload) problems.push(...targetProblems(document, manifest, workload));
  }
  return problems.toSorted((a, b) => a.document - b.document);
}

const namespaceOf = (manifest: Manifest): string => manifest.metadata.namespace ?? defaultNamespace;

/** `workload default/web`, also of a document that is wrong elsewhere. */
function identity(value: unknown): { key: string; name: string } | undefined {
  const { kind, metadata } = (value ?? {}) as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } };
  const { name, namespace = defaultNamespace } = metadata ?? {};
  if (typeof kind !== "string" || typeof name !== "string" || typeof namespace !== "string") return undefined;
  return { key: `${kind.toLowerCase()} ${namespace}/${name}`, name };
}

function doubled(document: number, manifest: AutoscalerManifest, scaled: Map<string, string>): DocumentProblem[] {
  const { workload } = manifest.spec;
  const key = `${namespaceOf(manifest)}/${workload}`;
  const other = scaled.get(key);
  if (other !== undefined) return [{ document, ...doubledAutoscaler(workload, other) }];
  scaled.set(key, manifest.metadata.name);
  return [];
}

/** Two autoscalers of one workload would undo each other's work. */
export function doubledAutoscaler(workload: string, other: string): ManifestProblem {
  const message = `workload ${workload} has the autoscaler ${other} already; a workload has one at most`;
  return { path: "/spec/workload", code: "DUPLICATE", message, value: workload };
}

function targetProblems(document: number, service: ServiceManifest, workload: WorkloadManifest): DocumentProblem[] {
  const ports = workload.spec.containers.flatMap((container) => container.ports ?? []);
  const known = ports.flatMap((port) => [port.name, ...(port.containerPort === undefined ? [] : [port.containerPort])]);
  return service.spec.ports.flatMap(({ targetPort }, index) => {
    if (known.includes(targetPort)) return [];
    const has = known.length === 0 ? "no ports" : `the ports ${known.join(", ")}`;
    const meant =
      typeof targetPort === "string"
        ? didYouMean(
            targetPort,
            ports.map((port) => port.name),
          )
        : "";
    const message = `workload ${workload.metadata.name} has ${has}${meant}`;
    return [
      { document, path: `/spec/ports/${index}/targetPort`, code: "BAD_VALUE" as const, message, value: targetPort },
    ];
  });
}
