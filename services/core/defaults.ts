// Fills in what a manifest leaves out, so that everything behind admission sees complete objects. Never `replicas`:
// left out, it means "keep the current count". Called by admission; filling in twice changes nothing more.
import type {
  AutoscalerManifest,
  AutoscalerSpec,
  Container,
  ScaleStep,
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

/** The first three as in the Kubernetes HorizontalPodAutoscaler; the cooldown is what users of it set most. */
const autoscalerDefaults = {
  tolerance: 10,
  scaleUp: { percent: 100, pods: 4, window: "0s" },
  scaleDown: { percent: 100, window: "5m" },
  cooldown: "60s",
} as const satisfies Partial<AutoscalerSpec>;

export const defaultNamespace = "default";

/** A port of a service without a name is named after its number, which is unique within the service. */
const servicePortName = (port: ServicePort): string => port.name ?? String(port.port);

function withContainerDefaults(container: Container): Container {
  if (container.ports === undefined) return container;
  return { ...container, ports: container.ports.map((port) => ({ protocol: "tcp" as const, ...port })) };
}

function autoscalerSpec(spec: AutoscalerSpec): AutoscalerSpec {
  const scaleUp = stepOf(spec.scaleUp, autoscalerDefaults.scaleUp);
  const scaleDown = stepOf(spec.scaleDown, autoscalerDefaults.scaleDown);
  return { ...autoscalerDefaults, ...spec, scaleUp, scaleDown };
}

/** One limit given is meant alone, without the default of the other. */
function stepOf(given: ScaleStep | undefined, byDefault: ScaleStep): ScaleStep {
  const limited = given?.percent !== undefined || given?.pods !== undefined;
  return limited
    ? { ...(byDefault.window === undefined ? {} : { window: byDefault.window }), ...given }
    : { ...byDefault, ...given };
}

type Manifest = WorkloadManifest | ServiceManifest | AutoscalerManifest;

/** A copy with every default in place; the manifest is valid and stays as it is. */
export function withDefaults(manifest: WorkloadManifest): WorkloadManifest;
export function withDefaults(manifest: ServiceManifest): ServiceManifest;
export function withDefaults(manifest: AutoscalerManifest): AutoscalerManifest;
export function withDefaults(manifest: Manifest): Manifest;
export function withDefaults(manifest: Manifest): Manifest {
  const metadata = { namespace: defaultNamespace, ...manifest.metadata };
  if (manifest.kind === "Autoscaler") return { ...manifest, metadata, spec: autoscalerSpec(manifest.spec) };
  if (manifest.kind === "Service") {
    const ports = manifest.spec.ports.map((port) => ({ ...port, name: servicePortName(port) }));
    return { ...manifest, metadata, spec: { ...manifest.spec, ports } };
  }
  const containers = manifest.spec.containers.map(withContainerDefaults);
  return { ...manifest, metadata, spec: { ...workloadDefaults, ...manifest.spec, containers } };
}
