// Fills in what a manifest leaves out, so that everything behind admission sees complete objects. Never `replicas`:
// left out, it means "keep the current count". Called by admission; filling in twice changes nothing more.
import type {
  Container,
  ServiceManifest,
  ServicePort,
  WorkloadManifest,
  WorkloadSpec,
} from "../../schemas/generated/types.ts";

const workloadDefaults = {
  placement: "spread",
  restartPolicy: "Always",
  lostAfter: "15s",
  stopGracePeriod: "10s",
  drainTimeout: "10s",
  progressDeadline: "60s",
} as const satisfies Partial<WorkloadSpec>;

export const defaultNamespace = "default";

/** A port of a service without a name is named after its number, which is unique within the service. */
const servicePortName = (port: ServicePort): string => port.name ?? String(port.port);

function withContainerDefaults(container: Container): Container {
  if (container.ports === undefined) return container;
  return { ...container, ports: container.ports.map((port) => ({ protocol: "tcp" as const, ...port })) };
}

/** A copy with every default in place; the manifest is valid and stays as it is. */
export function withDefaults(manifest: WorkloadManifest): WorkloadManifest;
export function withDefaults(manifest: ServiceManifest): ServiceManifest;
export function withDefaults(manifest: WorkloadManifest | ServiceManifest): WorkloadManifest | ServiceManifest;
export function withDefaults(manifest: WorkloadManifest | ServiceManifest): WorkloadManifest | ServiceManifest {
  const metadata = { namespace: defaultNamespace, ...manifest.metadata };
  if (manifest.kind === "Service") {
    const ports = manifest.spec.ports.map((port) => ({ ...port, name: servicePortName(port) }));
    return { ...manifest, metadata, spec: { ...manifest.spec, ports } };
  }
  const containers = manifest.spec.containers.map(withContainerDefaults);
  return { ...manifest, metadata, spec: { ...workloadDefaults, ...manifest.spec, containers } };
}
