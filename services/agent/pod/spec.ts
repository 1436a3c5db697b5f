// What the driver is told about one container of a pod. Pure.
import type { AssignedPod } from "../../../schemas/generated/types.ts";
import { keyOf } from "../../core/model.ts";
import type { ContainerSpec } from "../runtime/driver.ts";

export interface NodeIdentity {
  readonly cluster: string;
  readonly clusterUid: string;
  readonly node: string;
  readonly advertise: string;
}

/**
 * The pod's container number `index`; `firstId` is the id of container 0 for all others, or of the container whose network
 * the whole pod shares.
 */
export function containerSpec(
  pod: AssignedPod,
  index: number,
  identity: NodeIdentity,
  firstId: string | undefined,
): ContainerSpec {
  const key = keyOf(pod.namespace, pod.name);
  const container = pod.containers[index];
  if (container === undefined) throw new RangeError(`pod ${pod.name} has no container ${index}`);
  return {
    pod: key,
    ...(pod.templateId === undefined ? {} : { templateId: pod.templateId }),
    container,
    env: {
      SWAIN_CLUSTER: identity.cluster,
      SWAIN_NODE: identity.node,
      SWAIN_NAMESPACE: pod.namespace,
      SWAIN_POD: pod.name,
      SWAIN_WORKLOAD: pod.workload,
    },
    advertise: identity.advertise,
    ...(firstId !== undefined && (index > 0 || pod.network?.mode === "pod") ? { joinNetworkOf: firstId } : {}),
    ...(pod.network === undefined ? {} : { network: pod.network }),
    ...(pod.hosts === undefined ? {} : { hosts: pod.hosts }),
    ...(pod.dns === undefined ? {} : { dns: pod.dns }),
    // The first container owns the network, so it publishes the ports of all.
    ...(index === 0 ? { podPorts: pod.containers.flatMap((one) => one.ports ?? []) } : {}),
    labels: {
      "swain.cluster": identity.clusterUid,
      "swain.node": identity.node,
      "swain.pod": key,
      "swain.container": container.name,
    },
  };
}
