// A cluster in which a workload of three pods runs behind a service.
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
