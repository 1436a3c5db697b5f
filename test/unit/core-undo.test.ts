// Earlier templates of a workload: what is remembered, and what going back to one keeps.
import { describe, expect, it } from "vitest";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { admitUndo } from "../../services/core/admit/undo.ts";
import { isLive } from "../../services/core/transitions.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const containers = (image: number): object[] => [{ name: "main", image: `app:${image}` }];
const started = (...images: number[]): TestCluster => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  for (const image of images) {
    cluster.apply(workloadManifest("web", { replicas: 3, containers: containers(image) as never }));
    cluster.converge();
  }
  return cluster;
};
const undo = (cluster: TestCluster, to?: number): void => {
  cluster.write("api", admitUndo(cluster.state, "default", "web", to).items);
  cluster.settle();
};
const web = (cluster: TestCluster) => cluster.state.workloads.get("default/web");
const image = (cluster: TestCluster): unknown => web(cluster)?.spec.containers[0]?.image;

describe("undoing a template change", () => {
  it("goes back to the template before, and forth again, and keeps the count", () => {
    const cluster = started(1, 2);
    cluster.write("api", admitScale(cluster.state, "default", "web", 5).items);
    undo(cluster);
    cluster.converge();
    expect(image(cluster)).toBe("app:1");
    expect(web(cluster)?.spec.replicas).toBe(5);
    expect(cluster.pods().every((pod) => pod.template === web(cluster)?.template.generation)).toBe(true);
    undo(cluster);
    expect(image(cluster)).toBe("app:2");
    expect(web(cluster)?.history).toHaveLength(2);
  });

  it("makes pods that still run the earlier template current again", () => {
    const cluster = started(1);
    cluster.apply(workloadManifest("web", { replicas: 3, containers: containers(2) as never }));
    cluster.converge((pod) => pod.template === web(cluster)?.template.generation);
    expect(web(cluster)?.halted?.reason).toBe("IMAGE_NOT_FOUND");
    const serving = cluster.pods().filter((pod) => pod.state === "ready");
    undo(cluster);
    cluster.converge();
    expect(web(cluster)?.halted).toBeNull();
    const names = cluster
      .pods()
      .filter(isLive)
      .map((pod) => pod.name);
    expect(names.toSorted()).toEqual(serving.map((pod) => pod.name).toSorted());
  });

  it("remembers the last ten, each once, and goes to any of them", () => {
    const cluster = started(...Array.from({ length: 14 }, (_, index) => index + 1), 13);
    const history = web(cluster)?.history ?? [];
    const images = history.map(({ spec }) => Number(spec.containers[0]?.image?.split(":")[1]));
    expect(images).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 14, 13]);
    undo(cluster, history[2]?.generation);
    expect(image(cluster)).toBe("app:7");
    expect(() => admitUndo(cluster.state, "default", "web", 1)).toThrow(
      "has not a template of generation 1; there are",
    );
  });

  it("says when there is none", () => {
    const cluster = started(1);
    expect(() => admitUndo(cluster.state, "default", "web", undefined)).toThrow("has not an earlier template");
    expect(() => admitUndo(cluster.state, "default", "other", undefined)).toThrow("There is no workload other");
  });

  it("says of a workload that is being deleted that it is, as scaling does", () => {
    const cluster = started(1, 2);
    cluster.write("api", admitDelete(cluster.state, "workload", "default", "web").items);
    const going = expect.objectContaining({ code: "NOT_FOUND", message: expect.stringContaining("is being deleted") });
    expect(() => admitUndo(cluster.state, "default", "web", undefined)).toThrow(going);
    expect(() => admitScale(cluster.state, "default", "web", 1)).toThrow(going);
  });
});
