// A cluster of three nodes with a served workload of six pods, for tests of what is decided about nodes.
import { admitMode } from "../../services/core/admit/node.ts";
import { serviceManifest, TestCluster, workloadManifest } from "./core.ts";

export const nodes = { n1: {}, n2: {}, n3: {} };

export function running(spec: object = {}, of: Record<string, object> = nodes): TestCluster {
  const cluster = new TestCluster(of);
  cluster.apply(workloadManifest("web", { replicas: 6, ...spec }), serviceManifest("web"));
  cluster.converge();
  return cluster;
}

export const setMode = (cluster: TestCluster, node: string, mode: "cordoned" | "uncordoned" | "draining"): void => {
  cluster.write("api", admitMode(cluster.state, node, mode).items);
  cluster.settle();
};

export const served = (cluster: TestCluster): number =>
  cluster.state.services.get("default/web")?.shards.get(0)?.pods.size ?? 0;
