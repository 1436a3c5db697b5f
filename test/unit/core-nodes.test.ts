// Cordon and drain of nodes, decided in the core.
import { describe, expect, it } from "vitest";
import { check } from "../../services/core/check.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { nodeObject, podObject } from "../../services/core/project.ts";
import { isLive } from "../../services/core/transitions.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { running, served, setMode } from "../support/nodes.ts";

const on = (cluster: TestCluster, node: string): string[] =>
  cluster.pods().flatMap((pod) => (pod.node === node ? [pod.name] : []));
const mode = (cluster: TestCluster, node: string): unknown => nodeObject(cluster.state, node)?.status;

describe("a cordoned node", () => {
  it("keeps its pods and gets no new ones, and the scheduler says why", () => {
    const cluster = running();
    setMode(cluster, "n1", "cordoned");
    expect(on(cluster, "n1")).toHaveLength(2);
    cluster.apply(workloadManifest("web", { replicas: 12 }));
    cluster.converge();
    expect(on(cluster, "n1")).toHaveLength(2);
    setMode(cluster, "n2", "cordoned");
    setMode(cluster, "n3", "cordoned");
    cluster.apply(workloadManifest("web", { replicas: 13 }));
    const pending = cluster.pods().find((pod) => pod.state === "pending");
    expect(pending?.message).toBe("No node fits (0 of 3): 3 cordoned.");
    setMode(cluster, "n1", "uncordoned");
    expect(cluster.pods().find((pod) => pod.name === pending?.name)?.node).toBe("n1");
  });
});

describe("a node whose engine does not answer", () => {
  const trouble = { reason: "ENGINE_UNREACHABLE", message: "connect ENOENT" };

  it("says why, keeps its pods and endpoints, gets no new pods, and gets them again when it is back", () => {
    const cluster = running();
    cluster.troubles.set("n1", trouble);
    expect(cluster.settle()).toEqual([{ kind: "node", verb: "ready", name: "n1", ...trouble }]);
    expect(mode(cluster, "n1")).toMatchObject({ state: "ready", mode: "active", ...trouble });
    cluster.apply(workloadManifest("web", { replicas: 12 }));
    cluster.converge();
    expect([on(cluster, "n1").length, served(cluster)]).toEqual([2, 12]);
    for (const id of ["n2", "n3"]) cluster.troubles.set(id, trouble);
    cluster.settle();
    cluster.apply(workloadManifest("web", { replicas: 13 }));
    const pending = (): unknown => cluster.pods().find((pod) => pod.state === "pending")?.message;
    expect(pending()).toBe("No node fits (0 of 3): 3 whose engine does not answer.");
    cluster.troubles.clear();
    cluster.settle();
    expect([pending(), on(cluster, "n1").length]).toEqual([undefined, 3]);
    expect(mode(cluster, "n1")).toMatchObject({ state: "ready", reason: "", message: "" });
  });

  it("is told from one whose disk takes no writes, which gets no new pods either", () => {
    const cluster = running();
    cluster.troubles.set("n1", trouble);
    for (const id of ["n2", "n3"]) cluster.troubles.set(id, { reason: "DISK_ERROR", message: "no space left" });
    cluster.settle();
    cluster.apply(workloadManifest("web", { replicas: 13 }));
    expect(cluster.pods().find((pod) => pod.state === "pending")?.message).toBe(
      "No node fits (0 of 3): 1 whose engine does not answer, 2 whose disk takes no writes.",
    );
  });

  it("is one event, whatever its words, and none of a new leader that has not heard it yet", () => {
    const cluster = running();
    cluster.troubles.set("n1", trouble);
    cluster.settle();
    const view = cluster.view();
    cluster.troubles.set("n1", { ...trouble, message: "connect ECONNREFUSED" });
    expect(cluster.settle()).toEqual([]);
    expect(plan(cluster.state, { ...view, troubles: new Map() }, "all").items).toEqual([]);
  });

  it("gives way to silence, is said again when it is heard, and hides no drain for good", () => {
    const cluster = running();
    cluster.troubles.set("n1", trouble);
    cluster.silent.add("n1");
    cluster.pass(5000);
    expect(mode(cluster, "n1")).toMatchObject({ state: "unknown", reason: "NODE_UNHEARD" });
    cluster.silent.delete("n1");
    cluster.pass(1000);
    expect(mode(cluster, "n1")).toMatchObject({ state: "ready", reason: "ENGINE_UNREACHABLE" });
    cluster.troubles.clear();
    setMode(cluster, "n1", "draining");
    cluster.converge();
    expect(mode(cluster, "n1")).toMatchObject({ mode: "cordoned", reason: "DRAINED" });
  });

  it("is refused by the checker, whoever plans", () => {
    const cluster = running({ replicas: 1 });
    cluster.troubles.set("n2", trouble);
    cluster.settle();
    const template = cluster.pods()[0]?.template ?? 0;
    const pod = { kind: "pod", verb: "assigned", namespace: "default", workload: "web", name: "web-99" } as const;
    const codes = check(cluster.state, [{ ...pod, slot: 5, template, node: "n2" }]).map(({ code }) => code);
    expect(codes).toEqual(["NODE_TROUBLED"]);
  });
});

describe("a node whose agent follows another log", () => {
  const trouble = { reason: "LOG_UNKNOWN", message: "Its agent follows another log." };

  it("gets no pods from the moment it says so, and is unheard for that until it follows this one", () => {
    const cluster = running({ replicas: 3 }, { n1: {}, n2: {} });
    cluster.troubles.set("n1", trouble);
    cluster.silent.add("n1");
    cluster.settle();
    expect(mode(cluster, "n1")).toMatchObject({ state: "ready", ...trouble });
    const before = on(cluster, "n1");
    cluster.apply(workloadManifest("web", { replicas: 6 }));
    cluster.converge();
    expect(on(cluster, "n1")).toEqual(before);
    setMode(cluster, "n2", "cordoned");
    cluster.apply(workloadManifest("web", { replicas: 7 }));
    const pending = (): unknown => cluster.pods().find((pod) => pod.state === "pending")?.message;
    expect(pending()).toBe("No node fits (0 of 2): 1 unheard, 1 cordoned.");
    cluster.pass(5000);
    expect(mode(cluster, "n1")).toMatchObject({ state: "unknown", ...trouble });
    // The next leader has not heard of it yet.
    expect(plan(cluster.state, { ...cluster.view(), troubles: new Map() }, "all").items).toEqual([]);
    cluster.pass(15_000);
    expect(cluster.pods().filter(({ state }) => state === "lost")).toHaveLength(before.length);
    cluster.troubles.clear();
    cluster.silent.clear();
    cluster.pass(1000);
    expect(mode(cluster, "n1")).toMatchObject({ state: "ready", reason: "" });
  });

  it("says so also where many do, and is waited for as in any loss of many", () => {
    const cluster = running();
    for (const id of ["n1", "n2"]) {
      cluster.troubles.set(id, trouble);
      cluster.silent.add(id);
    }
    cluster.pass(60_000);
    expect(mode(cluster, "n1")).toMatchObject({ state: "unknown", ...trouble });
    expect([on(cluster, "n1").length, cluster.pods().length]).toEqual([2, 6]);
  });
});

describe("a draining node", () => {
  it("keeps a pod whose copy nothing checks until the copy has stayed up for a while", () => {
    const cluster = new TestCluster({ n1: {} });
    cluster.apply(workloadManifest("job", { replicas: 1, containers: [{ name: "main", image: "job:1" }] }));
    cluster.converge();
    cluster.join("n2");
    setMode(cluster, "n1", "draining");
    const pods = (): unknown[] => cluster.pods("default/job").map(({ name, desired }) => [name, desired]);
    const both = [
      ["job-1", "run"],
      ["job-2", "run"],
    ];
    for (let restarts = 0; restarts < 3; restarts += 1) {
      cluster.report("default/job-2", "ready", { restarts });
      cluster.pass(1000);
      expect(pods()).toEqual(both);
      cluster.report("default/job-2", "backoff", { reason: "EXITED", restarts: restarts + 1 });
      cluster.pass(3000);
    }
    cluster.report("default/job-2", "ready", { restarts: 3 });
    // As long as gives it its restarts back.
    cluster.pass(59_000);
    expect(pods()).toEqual(both);
    cluster.pass(1000);
    expect(pods()).toEqual([
      ["job-1", "stop"],
      ["job-2", "run"],
    ]);
  });

  it("loses its pods one at a time, and never goes below the promised ready count", () => {
    const cluster = running();
    setMode(cluster, "n1", "draining");
    for (let round = 0; on(cluster, "n1").length > 0 && round < 200; round++) {
      expect(served(cluster)).toBeGreaterThanOrEqual(6);
      expect(cluster.pods().filter(isLive).length).toBeLessThanOrEqual(7);
      if (round % 2 === 0) cluster.obey();
      cluster.pass(500);
    }
    expect(on(cluster, "n1")).toEqual([]);
    cluster.converge();
    expect(mode(cluster, "n1")).toMatchObject({ mode: "cordoned", reason: "DRAINED", pods: 0 });
    expect(cluster.pods()).toHaveLength(6);
    expect(served(cluster)).toBe(6);
  });

  it("keeps what finds no other place and says why, until there is one", () => {
    const cluster = running({ replicas: 1 }, { n1: {} });
    setMode(cluster, "n1", "draining");
    cluster.pass(5000);
    expect(served(cluster)).toBe(1);
    const events = cluster.log.length;
    expect(mode(cluster, "n1")).toMatchObject({
      mode: "draining",
      reason: "DRAIN_BLOCKED",
      message: "Pod web-1 cannot move: UNSCHEDULABLE: No node fits (0 of 1): 1 cordoned.",
    });
    cluster.pass(60_000);
    expect(cluster.log).toHaveLength(events);
    cluster.join("n2");
    cluster.converge();
    expect(on(cluster, "n2")).toEqual(["web-2"]);
    expect(mode(cluster, "n1")).toMatchObject({ mode: "cordoned", reason: "DRAINED" });
  });

  it("explains a fixed port that no other machine has free", () => {
    const ports = [{ name: "http", containerPort: 80, hostPort: 8080 }];
    const cluster = running({ replicas: 2, containers: [{ name: "main", image: "app:1", ports }] }, { n1: {}, n2: {} });
    setMode(cluster, "n1", "draining");
    cluster.pass(1000);
    expect(mode(cluster, "n1")).toMatchObject({
      reason: "DRAIN_BLOCKED",
      message:
        "Pod web-1 cannot move: UNSCHEDULABLE: No node fits (0 of 2): 1 cordoned, 1 with hostPort 8080 taken by another pod of the same machine.",
    });
    expect(served(cluster)).toBe(2);
  });

  it("says so when a copy does not become ready, and goes back to one pod per slot when the drain is ended", () => {
    const cluster = running({ replicas: 2 });
    const [old] = on(cluster, "n1");
    setMode(cluster, "n1", "draining");
    cluster.converge((pod) => pod.name !== old && Number(pod.name.split("-")[1]) > 2);
    expect(served(cluster)).toBe(2);
    expect(mode(cluster, "n1")).toMatchObject({
      mode: "draining",
      message: "Pod web-1 cannot move: its copy web-3 is failed: No such image.",
    });
    setMode(cluster, "n1", "uncordoned");
    cluster.converge();
    expect(
      cluster
        .pods()
        .filter(isLive)
        .map(({ name }) => name),
    ).toEqual(["web-1", "web-2"]);
    expect(mode(cluster, "n1")).toMatchObject({ mode: "active", reason: "" });
  });

  it("says so also where the copy that does not become ready is of a pod on another draining node", () => {
    const cluster = running({ replicas: 2 });
    setMode(cluster, "n1", "draining");
    cluster.pass(1000);
    setMode(cluster, "n2", "draining");
    cluster.converge((pod) => pod.name === "web-3");
    expect(mode(cluster, "n1")).toMatchObject({
      message: "Pod web-1 cannot move: its copy web-3 is failed: No such image.",
    });
    cluster.pass(60_000);
    expect(mode(cluster, "n2")).toMatchObject({
      reason: "DRAIN_BLOCKED",
      message: "Pod web-2 cannot move: NOT_READY: Pod web-3 of the same workload is not ready.",
    });
    cluster.converge();
    expect([on(cluster, "n1"), on(cluster, "n2")]).toEqual([[], []]);
  });

  it("that is ended keeps, of two pods in a slot, the one that was ready last, though its node is unheard", () => {
    const cluster = running({ replicas: 1, lostAfter: "60s", containers: [{ name: "main", image: "app:1" }] });
    cluster.report("default/web-1", "running");
    setMode(cluster, cluster.pods()[0]?.node ?? "", "draining");
    cluster.report("default/web-2", "ready");
    const [old, copy] = cluster.pods();
    cluster.silent.add(copy?.node ?? "");
    cluster.heardAt.set(copy?.node ?? "", cluster.now - 60_000);
    cluster.settle();
    expect([old?.desired, copy?.state, copy?.unheard]).toEqual(["run", "ready", true]);
    setMode(cluster, old?.node ?? "", "uncordoned");
    expect([old?.desired, copy?.desired]).toEqual(["stop", "run"]);
  });

  it("lets a template change go on, with new pods elsewhere", () => {
    const cluster = running({ replicas: 3 });
    setMode(cluster, "n1", "draining");
    cluster.apply(workloadManifest("web", { replicas: 3, containers: [{ name: "main", image: "app:2" }] }));
    cluster.converge();
    expect(on(cluster, "n1")).toEqual([]);
    expect(cluster.pods()).toHaveLength(3);
    expect(mode(cluster, "n1")).toMatchObject({ mode: "cordoned" });
  });

  it("loses its pods also where a template change was halted beside one of them", () => {
    const cluster = running({ replicas: 2 });
    const [first] = cluster.pods();
    const broken = (pod: { template: number }): boolean => pod.template !== first?.template;
    // The new pod of the slot is on another node.
    setMode(cluster, "n1", "cordoned");
    cluster.apply(workloadManifest("web", { replicas: 2, containers: [{ name: "main", image: "app:2" }] }));
    cluster.converge(broken);
    expect(cluster.state.workloads.get("default/web")?.halted?.reason).toBe("IMAGE_NOT_FOUND");
    expect(on(cluster, "n1")).toEqual(["web-1"]);
    setMode(cluster, "n1", "draining");
    cluster.converge(broken);
    expect(on(cluster, "n1")).toEqual([]);
    expect(mode(cluster, "n1")).toMatchObject({ mode: "cordoned", reason: "DRAINED" });
    expect(served(cluster)).toBe(2);
    expect(
      cluster
        .pods()
        .filter(broken)
        .map(({ name, state }) => [name, state]),
    ).toEqual([["web-3", "failed"]]);
    setMode(cluster, "n1", "uncordoned");
    cluster.apply(workloadManifest("web", { replicas: 2 }));
    cluster.converge();
    expect(cluster.pods()).toHaveLength(2);
    expect(served(cluster)).toBe(2);
  });

  it("has its pods copied once while a template change waits for its turn", () => {
    const cluster = running({ replicas: 3 });
    // With a fixed port the next pod is changed only when the last old one is gone, and that takes its time to stop.
    const ports = [{ name: "http", containerPort: 80, hostPort: 8080 }];
    cluster.apply(workloadManifest("web", { replicas: 3, containers: [{ name: "main", image: "app:2", ports }] }));
    cluster.report("default/web-4", "ready");
    cluster.pass(3000);
    expect(cluster.pods().map(({ name, desired }) => `${name} ${desired}`)).toEqual([
      "web-1 stop",
      "web-2 run",
      "web-3 run",
      "web-4 run",
    ]);
    setMode(cluster, "n2", "draining");
    cluster.pass(3000);
    expect(cluster.pods().map(({ name, desired, template }) => [name, desired, template])).toEqual([
      ["web-1", "stop", 5],
      ["web-2", "run", 5],
      ["web-3", "run", 5],
      ["web-4", "run", 10],
      ["web-5", "run", 5],
    ]);
    cluster.converge();
    expect(cluster.state.workloads.get("default/web")?.templates.size).toBe(1);
    // The other nodes have the port in use, so it stays and serves.
    expect(on(cluster, "n2")).toEqual(["web-4"]);
    expect(mode(cluster, "n2")).toMatchObject({ mode: "draining", reason: "DRAIN_BLOCKED" });
  });
});

describe.each(["stopped", "failed"] as const)("a pod that may run once and %s for good", (state) => {
  const over = (): TestCluster => {
    const cluster = running({ replicas: 1, restartPolicy: "Never" });
    cluster.report("default/web-1", state, { reason: state === "stopped" ? "COMPLETED" : "EXITED" });
    return cluster;
  };
  const pods = (cluster: TestCluster): string[] =>
    cluster.pods().map((pod) => `${pod.name} ${podObject(cluster.state, pod.key)?.status.state}`);

  it("is not run again when its node is drained, and does not hinder that", () => {
    const cluster = over();
    setMode(cluster, "n1", "draining");
    cluster.pass(10_000);
    expect(pods(cluster)).toEqual([`web-1 ${state}`]);
    expect(mode(cluster, "n1")).toMatchObject({ mode: "cordoned", reason: "DRAINED" });
  });

  it("is not run again when its node is lost, and its end stays known", () => {
    const cluster = over();
    cluster.silent.add("n1");
    cluster.pass(60_000);
    expect(pods(cluster)).toEqual([`web-1 ${state}`]);
  });

  it("is given up with its node once it was told to stop", () => {
    const cluster = over();
    cluster.silent.add("n1");
    cluster.apply(workloadManifest("web", { replicas: 0, restartPolicy: "Never" }));
    cluster.pass(60_000);
    expect(pods(cluster)).toEqual(["web-1 lost"]);
  });
});
