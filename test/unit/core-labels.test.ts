// Labels with names that every object of JavaScript has.
import { describe, expect, it } from "vitest";
import { same } from "../../services/core/same.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const labelled = (labels: Record<string, string>): unknown => {
  const manifest = workloadManifest("web") as { metadata: object };
  return { ...manifest, metadata: { ...manifest.metadata, labels } };
};

describe("a label named constructor or toString", () => {
  it.each(["constructor", "toString"])("%s differs from none", (name) => {
    expect(same({}, { [name]: "x" })).toBe(false);
    expect(same({ [name]: "x" }, {})).toBe(false);
    expect(same({ [name]: undefined }, {})).toBe(true);
  });

  it("is a change of the workload, and of what its pods show", () => {
    const cluster = new TestCluster({ n1: {} });
    cluster.apply(labelled({}));
    cluster.converge();
    const before = cluster.pods()[0]?.seq ?? 0;
    expect(cluster.apply(labelled({ constructor: "x" })).results[0]?.action).toBe("configured");
    expect(cluster.state.workloads.get("default/web")?.labels).toEqual({ constructor: "x" });
    expect(cluster.pods()[0]?.seq).toBeGreaterThan(before);
  });
});
