// A cluster in which a workload of three pods runs behind a service.
import type { PodRecord } from "../../services/core/model.ts";
import { serviceManifest, TestCluster, workloadManifest } from "./core.ts";

export const image = (name: string): object => ({
  containers: [{ name: "main", image: name, ports: [{ name: "http", containerPort: 80 }] }],
});

export function running(): TestCluster {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
  cluster.apply(workloadManifest("web", { replicas: 3, ...image("app:1") }), serviceManifest("web"));
  cluster.converge();
  return cluster;
}

/** The image that the pod's template names first. */
export const imageOf = (cluster: TestCluster, pod: PodRecord): string =>
  cluster.state.workloads.get(pod.workload)?.templates.get(pod.template)?.spec.containers[0]?.image ?? "";
