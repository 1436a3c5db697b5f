// What the checker refuses, whoever planned it.
import { describe, expect, it } from "vitest";
import { check } from "../../services/core/check.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

describe("the checker", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  cluster.apply(workloadManifest("web", { replicas: 2 }));
  const [pod] = cluster.pods();
  const base = { kind: "pod", namespace: "default", workload: "web", template: pod?.template ?? 0 } as const;

  it.each([
    ["a second pod in a slot", { ...base, verb: "assigned", name: "web-9", slot: 0, node: "n1" }, "SLOT_TAKEN"],
    ["a pod on no node", { ...base, verb: "assigned", name: "web-9", slot: 5, node: "n9" }, "UNKNOWN_NODE"],
    [
      "a pod assigned twice",
      { ...base, verb: "assigned", name: pod?.name ?? "", slot: 0, node: "n2" },
      "ASSIGNED_TWICE",
    ],
    [
      "forgetting a pod that may run",
      { kind: "pod", verb: "removed", namespace: "default", name: pod?.name ?? "", reason: "", message: "" },
      "REMOVED_ALIVE",
    ],
    [
      "a workload removed with its pods",
      { kind: "workload", verb: "removed", namespace: "default", name: "web" },
      "REMOVED_WITH_PODS",
    ],
  ] as const)("refuses %s", (_what, item, code) => {
    expect(check(cluster.state, [item]).map((violation) => violation.code)).toContain(code);
  });

  it("refuses two pods in one slot, also when the same event makes both", () => {
    const item = { ...base, verb: "assigned", slot: 7, node: "n1" } as const;
    const violations = check(cluster.state, [
      { ...item, name: "web-7" },
      { ...item, name: "web-8" },
    ]);
    expect(violations).toEqual([expect.objectContaining({ index: 1, code: "SLOT_TAKEN" })]);
  });
});
