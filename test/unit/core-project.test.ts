import { expect, it } from "vitest";
import { bucketOrder } from "../../services/bus/subjects.ts";
import { projection, projectionKeys } from "../../services/core/project.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

it("gives a value to each key of a bucket, and none to one that is spelled almost like it", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  const ports = [{ name: "http", containerPort: 80 }];
  const containers = [{ name: "main", image: "app:1", ports }];
  cluster.apply(workloadManifest("web", { replicas: 2, containers }), serviceManifest("web"));
  cluster.converge();
  for (const bucket of bucketOrder) {
    const keys = projectionKeys(cluster.state, bucket);
    expect(keys.length, bucket).toBeGreaterThan(0);
    for (const key of keys) {
      expect(projection(cluster.state, bucket, key), key).not.toBeNull();
      const others = [
        `${key}.0`,
        `${key}.`,
        `${key}0`,
        key.slice(0, key.lastIndexOf(".")),
        `.${key}`,
        key.toUpperCase(),
      ];
      const wrong = others.filter(
        (other) => !keys.includes(other) && projection(cluster.state, bucket, other) !== null,
      );
      expect(wrong, bucket).toEqual([]);
    }
  }
});
