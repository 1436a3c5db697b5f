// What a look at a draining node costs: the planner looks again after each step of the drain.
import { expect, it } from "vitest";
import { draining } from "../../services/core/plan/nodes.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

/** How often a pod is looked up to say what holds a drain up, where so many pods of one workload are on the node. */
function lookups(replicas: number): number {
  const capacity = { cpuMillis: 1_000_000, memoryBytes: 1024 ** 4, pods: 1000 };
  const cluster = new TestCluster({ n1: { capacity } });
  cluster.apply(workloadManifest("web", { replicas }));
  cluster.converge();
  cluster.write("api", [{ kind: "node", verb: "draining", name: "n1", reason: "", message: "" }]);
  const { pods } = cluster.state;
  const get = pods.get.bind(pods);
  let count = 0;
  pods.get = (key) => {
    count += 1;
    return get(key);
  };
  const refusal = { reason: "NO_CAPACITY", message: "none has room" };
  const [item] = draining(cluster.state, new Map([["default/web", refusal]]), cluster.view());
  expect(item).toMatchObject({ reason: "DRAIN_BLOCKED" });
  return count;
}

it("grows with the pods there are, not with their square", () => {
  expect(lookups(120) / lookups(40)).toBeLessThan(4);
});
