// What is waited for is said: a pod on its way out whose node is silent, where its workload holds its pods (`onNodeLost: hold`).
import { expect, it } from "vitest";
import { admitScale } from "../../services/core/admit/change.ts";
import { nodeObject, workloadObject } from "../../services/core/project.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { setMode } from "../support/nodes.ts";
import { image } from "../support/rollout.ts";

function fenced(replicas: number): TestCluster {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {}, n5: {}, n6: {}, n7: {} });
  cluster.apply(workloadManifest("web", { replicas, fence: true, onNodeLost: "hold", ...image("app:1") }));
  cluster.converge();
  return cluster;
}

const status = (cluster: TestCluster): unknown => workloadObject(cluster.state, "default/web")?.status;

it("says why a change stands still whose old pod was being stopped when its node went", () => {
  const cluster = fenced(1);
  cluster.apply(workloadManifest("web", { fence: true, onNodeLost: "hold", ...image("app:2") }));
  const [old] = cluster.pods();
  expect(old?.state).toBe("stopping");
  cluster.silent.add(old?.node ?? "");
  cluster.pass(400_000);
  const message = expect.stringMatching(/^web-1: /);
  expect(status(cluster)).toMatchObject({ phase: "progressing", reason: "NODE_LOST_HELD", message });
});

it("says why fenced pods do not leave a draining node while one that is to go is waited for", () => {
  const cluster = fenced(3);
  const node = cluster.pods()[0]?.node ?? "";
  cluster.silent.add(node);
  cluster.pass(60_000);
  cluster.write("api", admitScale(cluster.state, "default", "web", 2).items);
  cluster.settle();
  cluster.pass(60_000);
  expect(status(cluster)).toMatchObject({ phase: "progressing", ready: 2, reason: "NODE_LOST_HELD" });
  const other = cluster.pods().find((pod) => pod.desired === "run")?.node ?? "";
  setMode(cluster, other, "draining");
  cluster.pass(60_000);
  const message = expect.stringContaining("NODE_LOST_HELD: Pod web-1 of the same workload");
  expect(nodeObject(cluster.state, other)?.status).toMatchObject({ message });
});

it("drains the fenced pods of a task beside one that failed for good", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  const containers = [{ name: "main", image: "task:1" }];
  cluster.apply(workloadManifest("web", { replicas: 2, fence: true, restartPolicy: "Never", containers }));
  for (const { key } of cluster.pods()) cluster.report(key, "ready");
  cluster.pass(5000);
  const [failed, other] = cluster.pods();
  cluster.report(failed?.key ?? "", "failed", { reason: "EXITED", message: "Exited with code 1." });
  setMode(cluster, other?.node ?? "", "draining");
  expect(cluster.pods().find(({ key }) => key === other?.key)?.desired).not.toBe("run");
});
