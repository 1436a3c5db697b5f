import { describe, expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { admitReport } from "../../services/core/admit/report.ts";
import { nodeAssignment } from "../../services/core/assignment.ts";
import type { PodRecord } from "../../services/core/model.ts";
import { projection } from "../../services/core/project.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

const three = { n1: {}, n2: {}, n3: {} };
const perNode = (pods: PodRecord[]): number[] =>
  ["n1", "n2", "n3"].map((node) => pods.filter((pod) => pod.node === node && pod.desired === "run").length);
const live = (cluster: TestCluster): PodRecord[] =>
  cluster.pods().filter((pod) => pod.desired === "run" && pod.state !== "lost");

describe("replicas", () => {
  it("spread evenly over equal nodes", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 6 }));
    expect(perNode(cluster.pods())).toEqual([2, 2, 2]);
  });

  it("go where the workload has fewest pods, however full that node is, also when they come one by one", () => {
    const cluster = new TestCluster({ n1: {}, n2: {} });
    const large = [{ name: "main", image: "a", resources: { requests: { cpu: "3" } } }];
    const small = [{ name: "main", image: "a", resources: { requests: { cpu: "100m" } } }];
    cluster.apply(workloadManifest("other", { replicas: 1, containers: large }));
    cluster.apply(workloadManifest("web", { replicas: 1, containers: small }));
    cluster.apply(workloadManifest("web", { replicas: 2, containers: small }));
    expect(cluster.pods("default/other").map((pod) => pod.node)).toEqual(["n1"]);
    expect(cluster.pods().map((pod) => pod.node)).toEqual(["n2", "n1"]);
  });

  it("fill one node after the other with binpack", () => {
    const cluster = new TestCluster(three);
    const containers = [{ name: "main", image: "a", resources: { requests: { cpu: "1" } } }];
    cluster.apply(workloadManifest("web", { replicas: 5, placement: "binpack", containers }));
    expect(perNode(cluster.pods())).toEqual([4, 1, 0]);
  });

  it("wait with the reason of every node, and go when room appears", () => {
    const cluster = new TestCluster({ n1: { labels: { disk: "hdd" } } });
    cluster.apply(workloadManifest("web", { nodeSelector: { disk: "ssd" } }));
    expect(cluster.pods()[0]).toMatchObject({
      state: "pending",
      reason: "UNSCHEDULABLE",
      message: "No node fits (0 of 1): 1 without the labels disk=ssd.",
    });
    cluster.join("n2", { labels: { disk: "ssd" } });
    cluster.settle();
    expect(cluster.pods()[0]).toMatchObject({ state: "assigned", node: "n2" });
  });

  it("with a hostPort do not share the machine of another, also when it is split into several nodes", () => {
    const real = { runtime: "docker" as const };
    const cluster = new TestCluster({ n1: real, n2: real, n3: { ...real, host: "h2" } });
    const ports = [{ name: "http", containerPort: 80, hostPort: 8080 }];
    cluster.apply(workloadManifest("web", { replicas: 3, containers: [{ name: "main", image: "a", ports }] }));
    expect(cluster.pods().map((pod) => pod.node)).toEqual(["n1", "n3", null]);
    expect(cluster.pods()[2]?.message).toContain("hostPort 8080 taken by another pod of the same machine");
  });

  it("with a hostPort go to simulated nodes whatever another node of their machine has", () => {
    const cluster = new TestCluster({ n1: {}, n2: {}, n3: { runtime: "docker" as const } });
    const ports = [{ name: "http", containerPort: 80, hostPort: 8080 }];
    cluster.apply(workloadManifest("web", { replicas: 3, containers: [{ name: "main", image: "a", ports }] }));
    expect(cluster.pods().map((pod) => pod.node)).toEqual(["n1", "n2", "n3"]);
  });

  it("that ask for what a process cannot have go to a container engine, and say so where there is none", () => {
    const cluster = new TestCluster({ n1: { runtime: "process" as const } });
    const bounds = { security: { readOnlyRoot: true, user: 1000 }, tmpfs: [{ mountPath: "/tmp" }] };
    const containers = [{ name: "main", image: "a", process: { command: ["a"] }, ...bounds }];
    cluster.apply(workloadManifest("web", { containers, network: { mode: "none" } }));
    expect(cluster.pods()[0]).toMatchObject({ state: "pending", reason: "UNSCHEDULABLE" });
    expect(cluster.pods()[0]?.message).toContain(
      "1 with the process driver, which has no network, security.readOnlyRoot, tmpfs",
    );
    cluster.join("n2", { runtime: "docker" as const });
    cluster.settle();
    expect(cluster.pods()[0]).toMatchObject({ node: "n2" });
    const plain = [{ name: "main", image: "a", process: { command: ["a"] }, security: { user: 1000 } }];
    const other = new TestCluster({ n1: { runtime: "process" as const } });
    other.apply(workloadManifest("web", { containers: plain, network: { mode: "host" } }));
    expect(other.pods()[0]).toMatchObject({ node: "n1" });
  });

  it("that take control groups go to a node that may make them, and say so where none may", () => {
    const runtime = "process" as const;
    const cluster = new TestCluster({ n1: { runtime }, n2: { runtime, processLimits: ["memory", "cpu"] } });
    const bounded = (resources: object) => [{ name: "main", process: { command: ["a"] }, resources }];
    cluster.apply(workloadManifest("web", { containers: bounded({ pids: 9, cpuShares: 2 }) }));
    expect(cluster.pods()[0]?.message).toContain(
      "2 whose agent may not make the control groups for resources.pids, resources.cpuShares",
    );
    cluster.apply(workloadManifest("api", { containers: bounded({ cpuShares: 2 }) }));
    expect(cluster.pods("default/api")[0]).toMatchObject({ node: "n2" });
    cluster.join("n3", { runtime, processLimits: ["memory", "cpu", "pids"] });
    cluster.settle();
    expect(cluster.pods()[0]).toMatchObject({ node: "n3" });
    // Limits that were always wishes on such nodes keep no pod off them.
    const wish = new TestCluster({ n1: { runtime } });
    wish.apply(workloadManifest("web", { containers: bounded({ limits: { cpu: 1, memory: "1Gi" } }) }));
    expect(wish.pods()[0]).toMatchObject({ node: "n1" });
  });

  it("say when they are larger than any node", () => {
    const cluster = new TestCluster(three);
    const containers = [{ name: "main", image: "a", resources: { requests: { memory: "100Gi" } } }];
    cluster.apply(workloadManifest("web", { containers }));
    expect(cluster.pods()[0]).toMatchObject({ state: "pending", reason: "TOO_LARGE_FOR_ANY_NODE" });
  });

  it("scaled down lose what is not ready first, then the newest", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 4 }));
    for (const name of ["web-1", "web-3", "web-4"]) cluster.report(`default/${name}`, "ready");
    cluster.write("api", admitScale(cluster.state, "default", "web", 2).items);
    cluster.converge();
    expect(live(cluster).map((pod) => pod.name)).toEqual(["web-1", "web-3"]);
  });

  it("left out of an apply keep the count that scaling has set", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 2 }));
    cluster.write("api", admitScale(cluster.state, "default", "web", 5).items);
    cluster.apply(workloadManifest("web", { lostAfter: "30s" }));
    expect(live(cluster)).toHaveLength(5);
  });

  it("are gone, and the workload with them, after a delete", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 3 }), serviceManifest("web"));
    cluster.converge();
    cluster.write("api", admitDelete(cluster.state, "workload", "default", "web").items);
    cluster.converge();
    expect(cluster.state.workloads.size).toBe(0);
    expect(cluster.state.pods.size).toBe(0);
    expect(cluster.state.nodes.get("n1")).toMatchObject({ reserved: { cpuMillis: 0, memoryBytes: 0 } });
  });

  it("are not restarted elsewhere when they have done their work", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 1, restartPolicy: "Never" }));
    cluster.report("default/web-1", "stopped", { reason: "COMPLETED" });
    cluster.pass(60_000);
    expect(cluster.pods()).toHaveLength(1);
    expect(cluster.pods()[0]).toMatchObject({ state: "stopped", reason: "COMPLETED", desired: "run" });
  });
});

describe("a report", () => {
  it("that a pod stopped as it was told, by an order that the log lost, does not end it for good", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 1 }));
    cluster.converge();
    const { sequence } = cluster.state;
    cluster.report("default/web-1", "stopped", { reason: "STOPPED" });
    expect(cluster.state.sequence).toBe(sequence);
    cluster.report("default/web-1", "starting");
    cluster.report("default/web-1", "ready");
    expect(cluster.pods()[0]).toMatchObject({ state: "ready", ended: false });
  });

  it("with more words than are kept is news once", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 1 }));
    const message = "x".repeat(5000);
    cluster.report("default/web-1", "failed", { reason: "IMAGE_NOT_FOUND", message });
    expect(cluster.pods()[0]?.message).toBe(message.slice(0, limits.observedText));
    const { sequence } = cluster.state;
    cluster.report("default/web-1", "failed", { reason: "IMAGE_NOT_FOUND", message });
    expect(cluster.state.sequence).toBe(sequence);
  });

  it("of a pod the log lost says nothing of the one that was given its name", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web", { replicas: 1 }));
    const node = cluster.pods()[0]?.node ?? "";
    const { templateId } = nodeAssignment(cluster.state, node)[0] ?? {};
    expect(templateId).toMatch(/^e\d+$/);
    const observed = { reason: "", message: "", restarts: 0 };
    const admitted = [templateId, undefined, "e-lost"].map((id) => {
      const of = id === undefined ? {} : { templateId: id };
      return admitReport(cluster.state, node, [
        { namespace: "default", name: "web-1", ...of, state: "ready", observed },
      ]).length;
    });
    expect(admitted).toEqual([1, 1, 0]);
  });
});

describe("an endpoint", () => {
  it("follows the port its engine gave the pod after a restart", () => {
    const cluster = new TestCluster(three);
    cluster.apply(workloadManifest("web"), serviceManifest("web"));
    const shard = (): { sequence: number; endpoints: { addresses: { hostPort: number }[] }[] } =>
      JSON.parse(projection(cluster.state, "endpoints", "default.web.0") ?? "");
    cluster.report("default/web-1", "ready", { port: 1 });
    const first = shard();
    cluster.report("default/web-1", "ready", { port: 2, restarts: 1 });
    expect(first.endpoints[0]?.addresses[0]?.hostPort).toBe(30_001);
    expect(shard().endpoints[0]?.addresses[0]?.hostPort).toBe(30_002);
    expect(shard().sequence).toBeGreaterThan(first.sequence);
  });
});

describe("a node that falls silent", () => {
  const ready = (): TestCluster => {
    const cluster = new TestCluster({ ...three, n4: {} });
    cluster.apply(workloadManifest("web", { replicas: 4 }), serviceManifest("web"));
    cluster.converge();
    return cluster;
  };
  const shard = (cluster: TestCluster): string => projection(cluster.state, "endpoints", "default.web.0") ?? "";

  it("is unknown before 5 s, its pods stay endpoints until lostAfter, then run elsewhere once", () => {
    const cluster = ready();
    const lost = cluster.pods().find((pod) => pod.node === "n1")?.name ?? "";
    cluster.silent.add("n1");
    cluster.pass(4500);
    expect(cluster.state.nodes.get("n1")?.state).toBe("unknown");
    expect(JSON.parse(projection(cluster.state, "pods", `default.${lost}`) ?? "").status.state).toBe("unknown");
    expect(shard(cluster)).toContain(lost);
    cluster.pass(9000);
    expect(live(cluster).filter((pod) => pod.node !== "n1")).toHaveLength(3);
    cluster.pass(2500);
    expect(shard(cluster)).not.toContain(`${lost}"`);
    expect(live(cluster).filter((pod) => pod.node !== "n1")).toHaveLength(4);
    expect(cluster.state.pods.get(`default/${lost}`)).toMatchObject({ state: "lost", desired: "stop", node: "n1" });
    expect(JSON.parse(projection(cluster.state, "pods", `default.${lost}`) ?? "").status.possiblyRunning).toBe(true);
  });

  it("stops the old copies when it returns", () => {
    const cluster = ready();
    const lost = cluster.pods().find((pod) => pod.node === "n1")?.key ?? "";
    cluster.silent.add("n1");
    cluster.pass(20_000);
    cluster.silent.clear();
    cluster.pass(1000);
    expect(cluster.state.nodes.get("n1")?.state).toBe("ready");
    expect(cluster.state.pods.get(lost)?.state).toBe("lost");
    cluster.converge();
    expect(cluster.state.pods.has(lost)).toBe(false);
    expect(live(cluster)).toHaveLength(4);
  });

  it("and returns before lostAfter changes nothing", () => {
    const cluster = ready();
    const before = cluster.pods().map((pod) => pod.name);
    cluster.silent.add("n1");
    cluster.pass(10_000);
    cluster.silent.clear();
    cluster.pass(10_000);
    expect(cluster.pods().map((pod) => [pod.name, pod.state, pod.unheard])).toEqual(
      before.map((name) => [name, "ready", false]),
    );
  });

  it("with many others is held for a fault of our own, and given up after five minutes", () => {
    const cluster = ready();
    for (const node of ["n1", "n2"]) cluster.silent.add(node);
    cluster.pass(60_000);
    expect(cluster.state.nodes.get("n1")).toMatchObject({ state: "unknown", reason: "MASS_LOSS_HELD" });
    expect(live(cluster)).toHaveLength(4);
    expect(cluster.pods()).toHaveLength(4);
    cluster.pass(300_000);
    expect(live(cluster).every((pod) => pod.node === "n3" || pod.node === "n4")).toBe(true);
  });

  it("waits anew for the last node when the others come back from a hold", () => {
    const cluster = ready();
    for (const node of ["n1", "n2", "n3"]) cluster.silent.add(node);
    cluster.pass(60_000);
    for (const node of ["n1", "n2"]) cluster.silent.delete(node);
    cluster.pass(4000);
    expect(cluster.state.nodes.get("n3")).toMatchObject({ state: "unknown", reason: "NODE_UNHEARD" });
    expect(live(cluster)).toHaveLength(4);
    expect(cluster.pods()).toHaveLength(4);
    cluster.pass(12_000);
    expect(live(cluster).every((pod) => pod.node !== "n3")).toBe(true);
  });

  it("does not keep a deleted workload", () => {
    const cluster = ready();
    cluster.silent.add("n1");
    cluster.pass(20_000);
    cluster.write("api", admitDelete(cluster.state, "workload", "default", "web").items);
    cluster.converge();
    expect(cluster.state.workloads.size).toBe(0);
  });
});
