// What the simulation says of autoscalers that make a workload smaller, held against what nodes published.
import { beforeEach, expect, it } from "vitest";
import type { AutoscaleMetric } from "../../schemas/generated/types.ts";
import { Scaling } from "../simulation/scaling.ts";
import { Troubles } from "../simulation/troubles.ts";
import { bytes } from "../support/bus-world.ts";
import { autoscalerManifest, TestCluster, workloadManifest } from "../support/core.ts";

let now: number;
let cluster: TestCluster;
let troubles: Troubles;
let scaling: Scaling;
let said: string[];

const requests = { cpu: "100m", memory: "64Mi" };
const metric: AutoscaleMetric = {
  resource: "cpu",
  target: 50,
  use: 20,
  request: 200,
  pods: 2,
  missing: 2,
  notReady: 0,
  reason: "",
};

/** The two of four pods on that node, or some of them, use so much each. */
function publish(node: string, cpuMillis: number, count = 2): void {
  const pods = [...cluster.state.nodes.get(node)!.pods].slice(0, count).map((key) => {
    const { namespace, name } = cluster.state.pods.get(key)!;
    return { namespace, name, cpuMillis, memoryBytes: 0 };
  });
  scaling.onFigures(node, bytes({ node: {}, pods }));
}

function blamed(replicas: number, over: Partial<AutoscaleMetric> = {}, from = 4): (string | undefined)[] {
  const metrics = [{ ...metric, ...over }];
  const base = {
    kind: "autoscaler",
    verb: "scaled",
    namespace: "default",
    message: "",
    reason: "BELOW_TARGET",
  } as const;
  scaling.onScaled(cluster.state, { ...base, name: "web", workload: "web", from, replicas, metrics }, 9);
  return said.splice(0).map((line) => line.split("but ")[1]);
}

beforeEach(() => {
  now = 100_000;
  said = [];
  cluster = new TestCluster({ n1: {}, n2: {} });
  troubles = new Troubles(() => now);
  scaling = new Scaling(
    () => now,
    troubles,
    (message) => said.push(message),
  );
  const containers = [{ name: "main", image: "app:1", resources: { requests } }];
  cluster.apply(workloadManifest("web", { replicas: 4, containers }), autoscalerManifest("web", { minReplicas: 1 }));
  cluster.converge();
});

it("a smaller number may follow from what came of all pods", () => {
  publish("n1", 10);
  publish("n2", 10);
  expect(blamed(1, { pods: 4, use: 40, request: 400, missing: 0 })).toEqual([]);
  expect(blamed(1, { pods: 4, use: 10, request: 400, missing: 0 })).toEqual(["they use 40 at least"]);
  // A larger number, and one that the bounds ask for, are not looked at.
  expect(blamed(5)).toEqual([]);
  expect(blamed(10, {}, 11)).toEqual([]);
});

it("pods that nothing came of do not count as idle", () => {
  publish("n1", 10);
  expect(blamed(1, { pods: 4, use: 20, request: 400 })).toEqual(["figures came of 2 pods"]);
  expect(blamed(3)).toEqual(["with the others busy it is to have 4 at least"]);
  publish("n2", 10, 1);
  expect(blamed(3, { pods: 3, use: 30, request: 300 })).toEqual([]);
  expect(blamed(2, { pods: 3, use: 30, request: 300 })).toEqual(["with the others busy it is to have 3 at least"]);
});

it("old figures are none, and of some that came the least may have counted", () => {
  publish("n1", 30);
  now += 5000;
  publish("n1", 10);
  now += 21_000;
  expect(blamed(4, { pods: 2, use: 10 })).toEqual(["they use 20 at least"].slice(1));
  expect(blamed(3, { pods: 2, use: 10 })).toEqual(["they use 20 at least"]);
  now += 5000;
  expect(blamed(3)).toEqual(["figures came of 0 pods"]);
  troubles.begin("c1", "lagging");
  expect(blamed(3)).toEqual([]);
});
