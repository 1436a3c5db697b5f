// Whose network a pod shares that is told to share one of another workload. Pure.
import type { AssignedPod } from "../../../schemas/generated/types.ts";
import type { ContainerInfo } from "../runtime/driver.ts";

interface Seen {
  view(): { readonly pod: AssignedPod | null; readonly containers: readonly ContainerInfo[] };
}

/**
 * Id of the running container that owns the network of a pod of that workload on this node, or null. The first by name, so
 * that a pod made anew joins the same one again.
 */
export function networkOwner(all: Iterable<Seen>, namespace: string, workload: string): string | null {
  const found = [...all].flatMap((one) => {
    const { pod, containers } = one.view();
    if (pod?.namespace !== namespace || pod.workload !== workload || pod.desired !== "run") return [];
    const owner = containers.find(({ name, state }) => name === pod.containers[0]?.name && state === "running");
    return owner === undefined ? [] : [{ name: pod.name, id: owner.id }];
  });
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))[0]?.id ?? null;
}
