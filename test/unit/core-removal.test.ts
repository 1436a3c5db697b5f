// Removal of nodes, decided in the core.
import { describe, expect, it } from "vitest";
import { admitDelete } from "../../services/core/admit/change.ts";
import { admitRemoval } from "../../services/core/admit/node.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { nodes, running, served, setMode } from "../support/nodes.ts";

describe("removing a node", () => {
  const remove = (cluster: TestCluster, node: string, force = false): void => {
    cluster.write("api", admitRemoval(cluster.state, node, force).items);
    cluster.settle();
  };

  it("is refused while the node is heard and in use", () => {
    const cluster = running();
    expect(() => admitRemoval(cluster.state, "n1", false)).toThrow("Node n1 is heard and runs 2 pods.");
    expect(() => admitRemoval(cluster.state, "n9", false)).toThrow("There is no node n9.");
    setMode(cluster, "n1", "draining");
    cluster.converge();
    remove(cluster, "n1");
    expect([...cluster.state.nodes.keys()]).toEqual(["n2", "n3"]);
    const idle = new TestCluster(nodes);
    expect(() => admitRemoval(idle.state, "n1", false)).toThrow("Node n1 is heard and takes new pods.");
  });

  it("completes what waited for a lost node", () => {
    const cluster = running();
    cluster.silent.add("n1");
    cluster.pass(30_000);
    cluster.converge();
    expect(cluster.pods().filter((pod) => pod.state === "lost")).toHaveLength(2);
    remove(cluster, "n1");
    expect(cluster.pods()).toHaveLength(6);
    expect(cluster.pods().every((pod) => pod.state === "ready")).toBe(true);
  });

  it("by force makes its pods anew elsewhere; an agent that comes back is told an assignment newer than the one it had", () => {
    const cluster = running();
    const before = cluster.state.nodes.get("n1")?.assignment ?? 0;
    remove(cluster, "n1", true);
    expect(served(cluster)).toBe(4);
    cluster.converge();
    expect(served(cluster)).toBe(6);
    cluster.join("n1");
    const node = cluster.state.nodes.get("n1");
    expect(node?.assignment).toBeGreaterThan(before);
    expect(node).toMatchObject({ mode: "active", reserved: { cpuMillis: 0, memoryBytes: 0 } });
  });

  it("makes no task anew that ended for good, and keeps it until its workload goes", () => {
    const cluster = new TestCluster(nodes);
    cluster.apply(workloadManifest("web", { replicas: 2, restartPolicy: "Never" }));
    cluster.converge();
    const [done, failed] = cluster.pods().map(({ key }) => key) as [string, string];
    cluster.report(done, "stopped", { reason: "COMPLETED" });
    cluster.report(failed, "failed", { reason: "EXITED" });
    cluster.settle();
    for (const node of Object.keys(nodes)) setMode(cluster, node, "cordoned");
    for (const node of Object.keys(nodes)) remove(cluster, node);
    cluster.join("n4");
    cluster.settle();
    expect(cluster.pods().map(({ state, node }) => [state, node])).toEqual([
      ["stopped", null],
      ["failed", null],
    ]);
    // A pod that its node had not said to be over goes with it, and is made anew.
    cluster.apply(workloadManifest("web", { replicas: 3, restartPolicy: "Never" }));
    cluster.settle();
    expect(cluster.pods()[2]?.node).toBe("n4");
    cluster.join("n5");
    remove(cluster, "n4", true);
    expect(cluster.pods().map(({ node }) => node)).toEqual([null, null, "n5"]);
    cluster.write("api", admitDelete(cluster.state, "workload", "default", "web").items);
    cluster.converge();
    expect(cluster.pods()).toEqual([]);
  });

  it("lets a change go on that waited for a task of it: the node is not waited for any more", () => {
    const cluster = new TestCluster({ n1: {} });
    const task = { replicas: 1, restartPolicy: "Never", onNodeLost: "hold" } as const;
    cluster.apply(workloadManifest("web", task));
    cluster.report("default/web-1", "ready");
    cluster.silent.add("n1");
    cluster.pass(30_000);
    cluster.join("n2");
    cluster.apply(workloadManifest("web", { ...task, stopGracePeriod: "3s" }));
    cluster.settle();
    expect(cluster.pods().map(({ name }) => name)).toEqual(["web-1"]);
    remove(cluster, "n1");
    expect(cluster.pods().at(-1)).toMatchObject({ name: "web-2", node: "n2" });
  });
});
