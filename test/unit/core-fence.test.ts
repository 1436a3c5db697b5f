// What becomes of the pods of a lost node by the workload's policy, and fenced pods wherever two could run.
import { describe, expect, it } from "vitest";
import type { EventItem, WorkloadSpec } from "../../schemas/generated/types.ts";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { admitMode, admitRemoval } from "../../services/core/admit/node.ts";
import { assignedPod } from "../../services/core/assignment.ts";
import { check } from "../../services/core/check.ts";
import { fencing, fenceWaitMs } from "../../services/core/fence.ts";
import { leaseVerdict, leaseWorth } from "../../services/core/lease.ts";
import { checkManifest } from "../../services/core/manifest.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { nodeObject, podObject, projection, workloadObject } from "../../services/core/project.ts";
import { isLive } from "../../services/core/transitions.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

const nodes = { n1: {}, n2: {}, n3: {}, n4: {} };
const fence: Partial<WorkloadSpec> = { replicas: 1, fence: true, lostAfter: "10s", stopGracePeriod: "2s" };

function running(spec: Partial<WorkloadSpec>, of: Record<string, object> = nodes): TestCluster {
  const cluster = new TestCluster(of);
  cluster.apply(workloadManifest("web", spec), serviceManifest("web"));
  cluster.converge();
  return cluster;
}

const only = (cluster: TestCluster) => {
  const [pod, ...more] = cluster.pods();
  if (pod === undefined || more.length > 0) throw new Error(`${more.length + 1} pods`);
  return pod;
};
const names = (cluster: TestCluster): string[] => cluster.pods().map(({ name }) => name);
const shard = (cluster: TestCluster): string => projection(cluster.state, "endpoints", "default.web.0") ?? "";
const status = (cluster: TestCluster, pod: string) => podObject(cluster.state, `default/${pod}`)?.status;

describe("a fenced pod of a lost node", () => {
  const wait = fenceWaitMs(fence, false);

  it("is replaced after its agent must have stopped it, not a moment before", () => {
    expect(wait).toBe((10_000 + fencing.adoptMs + 2000) * fencing.drift + fencing.killMs);
    const cluster = running(fence);
    const { name, node } = only(cluster);
    cluster.silent.add(node ?? "");
    cluster.pass(wait - 500);
    expect(cluster.pods().map((pod) => [pod.name, pod.state])).toEqual([[name, "ready"]]);
    cluster.pass(500);
    expect(cluster.pods().map((pod) => [pod.name, pod.state])).toEqual([
      [name, "lost"],
      ["web-2", "assigned"],
    ]);
    expect(status(cluster, name)?.message).toContain("its agent has stopped the pod by now");
  });

  it("waits the whole time again under a new leader, and longer when the log has several replicas", () => {
    const cluster = running(fence);
    cluster.silent.add(only(cluster).node ?? "");
    cluster.pass(wait - 500);
    cluster.termAgeMs = 0;
    cluster.elect("c2");
    for (let passed = 500; passed < wait; passed += 500) {
      cluster.pass(500);
      expect(names(cluster)).toHaveLength(1);
    }
    cluster.logReplicated = true;
    cluster.pass(fencing.staleReadMs);
    expect(names(cluster)).toHaveLength(1);
    cluster.pass(500);
    expect(names(cluster)).toHaveLength(2);
  });

  it("holds its node against removal until it is over, but for --force", () => {
    const cluster = running(fence);
    const node = only(cluster).node ?? "";
    cluster.silent.add(node);
    cluster.pass(8000);
    expect(() => admitRemoval(cluster.state, node, false)).toThrow(/web-1 of node .* is fenced and may still run/);
    expect(admitRemoval(cluster.state, node, true).items).not.toEqual([]);
    cluster.pass(wait);
    expect(admitRemoval(cluster.state, node, false).items).not.toEqual([]);
  });

  it("is granted nothing before the log says that its node is heard, and nothing older than the decision counts", () => {
    const cluster = running(fence);
    const node = only(cluster).node ?? "";
    const { logId } = cluster.state;
    const generation = cluster.state.nodes.get(node)?.assignment ?? 0;
    expect(leaseVerdict(cluster.state, node, logId)).toEqual({ generation });
    expect(leaseVerdict(cluster.state, node, "other")).toMatchObject({ code: "LOG_UNKNOWN" });
    cluster.silent.add(node);
    cluster.pass(5000);
    expect(leaseVerdict(cluster.state, node, logId)).toMatchObject({ code: "NODE_UNHEARD" });
    cluster.pass(wait);
    cluster.silent.delete(node);
    cluster.pass(1000);
    const verdict = leaseVerdict(cluster.state, node, logId);
    if (!("generation" in verdict)) throw new Error(verdict.code);
    const reply = { logId, epoch: 5, ...verdict };
    expect(leaseWorth({ logId, epoch: 5, generation }, 5, reply)).toBe("behind");
    expect(leaseWorth({ logId, epoch: 5, generation: verdict.generation }, 5, reply)).toBe("granted");
    expect(leaseWorth({ logId, epoch: 5, generation: verdict.generation }, 6, reply)).toBe("foreign");
    expect(leaseWorth({ logId: "other", epoch: 5, generation: verdict.generation }, 5, reply)).toBe("foreign");
    const lost = verdict.generation + 1;
    expect(leaseWorth({ logId, epoch: 5, generation: lost }, 5, reply)).toBe("granted");
    expect(leaseWorth({ logId, epoch: 4, generation: lost }, 4, reply)).toBe("behind");
  });
});

describe("a fenced workload", () => {
  const change = (image: string): unknown =>
    workloadManifest("web", { ...fence, containers: [{ name: "main", image }] });

  it("tells its node the lease, and changes it only by another template", () => {
    const cluster = running(fence);
    const pod = only(cluster);
    expect(assignedPod(cluster.state, pod.key)?.fence).toEqual({ leaseMs: 10_000 });
    cluster.apply(workloadManifest("web", { ...fence, lostAfter: "20s" }));
    expect(cluster.pods().map(({ name, desired }) => [name, desired])).toEqual([["web-1", "stop"]]);
    cluster.converge();
    expect(assignedPod(cluster.state, only(cluster).key)?.fence).toEqual({ leaseMs: 20_000 });
    const plain = running({ replicas: 1, lostAfter: "10s" });
    plain.apply(workloadManifest("web", { replicas: 1, lostAfter: "20s", onNodeLost: "hold" }));
    expect(names(plain)).toEqual(["web-1"]);
  });

  it("never has two pods through a template change, a drain, or scaling down and up", () => {
    const cluster = running(fence);
    const alone = (): void => {
      for (let round = 0; round < 60; round++) {
        expect(cluster.pods().filter((pod) => !pod.ended).length, names(cluster).join()).toBeLessThanOrEqual(1);
        if (round % 3 === 0) cluster.obey();
        cluster.pass(500);
      }
      cluster.converge();
      expect(only(cluster)).toMatchObject({ state: "ready" });
    };
    cluster.apply(change("app:2"));
    alone();
    const { node } = only(cluster);
    cluster.write("api", admitMode(cluster.state, node ?? "", "draining").items);
    cluster.settle();
    alone();
    expect(only(cluster).node).not.toBe(node);
    expect(nodeObject(cluster.state, node ?? "")?.status).toMatchObject({ mode: "cordoned", reason: "DRAINED" });
    cluster.write("api", admitScale(cluster.state, "default", "web", 0).items);
    cluster.settle();
    cluster.write("api", admitScale(cluster.state, "default", "web", 1).items);
    cluster.settle();
    alone();
  });

  it("stays on a draining node when there is no room for it elsewhere, and says so", () => {
    const cluster = running(fence, { n1: {} });
    cluster.write("api", admitMode(cluster.state, "n1", "draining").items);
    cluster.pass(5000);
    expect(only(cluster)).toMatchObject({ state: "ready", desired: "run" });
    expect(nodeObject(cluster.state, "n1")?.status).toMatchObject({
      reason: "DRAIN_BLOCKED",
      message: "Pod web-1 cannot move: UNSCHEDULABLE: No node fits (0 of 1): 1 cordoned.",
    });
  });

  it("moves what was there before the fence as it was: with a copy first", () => {
    const cluster = running({ replicas: 2 }, { n1: {} });
    // The change to a fenced template halts at its first pod.
    cluster.apply(workloadManifest("web", { ...fence, replicas: 2, containers: [{ name: "main", image: "broken" }] }));
    cluster.converge((pod) => pod.name === "web-3");
    expect(names(cluster)).toEqual(["web-2", "web-3"]);
    cluster.join("n2");
    cluster.write("api", admitMode(cluster.state, "n1", "draining").items);
    cluster.settle();
    cluster.converge();
    expect(cluster.pods().map(({ node, state }) => [node, state])).toEqual([
      ["n2", "ready"],
      ["n2", "ready"],
    ]);
  });

  it("that cannot move yet holds up no pod whose copy is ready elsewhere", () => {
    const cluster = running({ replicas: 2 });
    const isBroken = ({ name }: { readonly name: string }): boolean => name === "web-3" || name === "web-4";
    cluster.apply(workloadManifest("web", { ...fence, replicas: 2, containers: [{ name: "main", image: "broken" }] }));
    cluster.report("default/web-1", "stopped");
    cluster.write("api", admitScale(cluster.state, "default", "web", 3).items);
    cluster.settle();
    cluster.converge(isBroken);
    expect(names(cluster)).toEqual(["web-2", "web-3", "web-4"]);
    // While a copy of the first pod is on its way a fenced one is to move, too, and waits for the other, which is never ready.
    for (const pod of cluster.pods().slice(0, 2)) {
      cluster.write("api", admitMode(cluster.state, pod.node ?? "", "draining").items);
      cluster.settle();
    }
    cluster.converge(isBroken);
    expect(names(cluster)).toEqual(["web-3", "web-4", "web-5"]);
  });

  it("leaves a draining node first with the pod that does not serve anyway", () => {
    const cluster = running({ ...fence, replicas: 2 }, { n1: {} });
    cluster.join("n2");
    cluster.report("default/web-2", "running", { reason: "NOT_READY", message: "Port http does not answer." });
    cluster.write("api", admitMode(cluster.state, "n1", "draining").items);
    cluster.settle();
    expect(cluster.pods().map(({ name, state }) => `${name} ${state}`)).toEqual(["web-1 ready", "web-2 stopping"]);
  });

  it("stays on a draining node as long as a pod without a fence that has to leave, too, is not ready elsewhere", () => {
    const cluster = running({ ...fence, replicas: 2 }, { n1: {} });
    // A change that takes the fence away halts at its first pod.
    cluster.apply(workloadManifest("web", { replicas: 2, containers: [{ name: "main", image: "broken" }] }));
    cluster.converge(({ name }) => name === "web-3");
    const [serving, broken] = cluster.pods();
    expect([serving?.state, broken?.state]).toEqual(["ready", "failed"]);
    cluster.join("n2");
    cluster.write("api", admitMode(cluster.state, "n1", "draining").items);
    cluster.settle();
    cluster.converge(({ name }) => name !== serving?.name);
    expect(cluster.pods().find(({ name }) => name === serving?.name)).toMatchObject({ state: "ready", desired: "run" });
    expect(nodeObject(cluster.state, "n1")?.status.message).toContain("its copy web-4 is failed");
  });

  it("goes to no node whose agent does not know of fences", () => {
    const cluster = running(fence, { n1: { fencing: false } });
    expect(only(cluster).message).toBe("No node fits (0 of 1): 1 whose agent is too old to fence pods.");
    cluster.join("n2");
    cluster.converge();
    expect(only(cluster).node).toBe("n2");
  });

  it("is refused with a lease that would not outlast a change of leader", () => {
    const problems = (spec: object): unknown =>
      checkManifest(workloadManifest("web", spec)).map(({ message }) => message);
    const words = "must be at least 10s with fence, because a change of leader takes up to 5s";
    expect(problems({ fence: true, lostAfter: "9s" })).toEqual([words]);
    expect(problems({ fence: true, lostAfter: "10s" })).toEqual([]);
    expect(problems({ fence: true })).toEqual([]);
    expect(problems({ fence: true, lostAfter: "0s" })).toHaveLength(1);
    expect(problems({ onNodeLost: "wait" })).toHaveLength(1);
  });
});

describe("the checker", () => {
  const codes = (cluster: TestCluster, items: EventItem[]): string[] =>
    check(cluster.state, items).map(({ code }) => code);

  it("lets nobody put a pod beside a fenced one, or give up a pod of a heard node", () => {
    const cluster = running(fence);
    const pod = only(cluster);
    const base = { kind: "pod", namespace: "default" } as const;
    const why = { reason: "SCALED_DOWN", message: "" };
    const stop: EventItem = { ...base, verb: "stopping", name: pod.name, drain: false, ...why };
    const { slot, template } = pod;
    const node = pod.node === "n2" ? "n3" : "n2";
    const beside: EventItem = { ...base, verb: "assigned", name: "web-9", workload: "web", slot, template, node };
    expect(codes(cluster, [stop, beside])).toEqual(["FENCE_BROKEN"]);
    expect(codes(cluster, [{ ...base, verb: "lost", name: pod.name, ...why }])).toEqual(["LOST_HEARD"]);
    expect(codes(cluster, [{ ...base, verb: "held", name: pod.name, ...why }])).toEqual(["LOST_HEARD"]);
  });
});

describe("onNodeLost: hold", () => {
  it("keeps the pod at its unheard node with a reason, out of the endpoints, and takes it back when the node returns", () => {
    const cluster = running({ replicas: 4, onNodeLost: "hold" });
    const pod = cluster.pods().find(({ node }) => node === "n1")?.name ?? "";
    cluster.silent.add("n1");
    cluster.pass(12_000);
    expect(shard(cluster)).toContain(`/${pod}"`);
    cluster.pass(5000);
    expect(shard(cluster)).not.toContain(`/${pod}"`);
    cluster.pass(600_000);
    expect(names(cluster)).toHaveLength(4);
    expect(status(cluster, pod)).toMatchObject({ state: "unknown", reason: "NODE_LOST_HELD", possiblyRunning: true });
    expect(workloadObject(cluster.state, "default/web")?.status).toMatchObject({
      phase: "progressing",
      ready: 3,
      reason: "NODE_LOST_HELD",
    });
    expect(plan(cluster.state, cluster.view(), "all").items).toEqual([]);
    cluster.silent.clear();
    cluster.pass(1000);
    expect(shard(cluster)).toContain(`/${pod}"`);
    expect(status(cluster, pod)).toMatchObject({ state: "ready", reason: "", possiblyRunning: false });
    expect(workloadObject(cluster.state, "default/web")?.status).toMatchObject({ phase: "steady", ready: 4 });
  });

  it("is given up by removing the node, by deleting the workload, and by another policy", () => {
    const held = (): TestCluster => {
      const cluster = running({ replicas: 1, onNodeLost: "hold" });
      cluster.silent.add(only(cluster).node ?? "");
      cluster.pass(60_000);
      expect(only(cluster).held).not.toBeNull();
      return cluster;
    };
    const removed = held();
    removed.write("api", admitRemoval(removed.state, only(removed).node ?? "", false).items);
    removed.converge();
    expect(only(removed)).toMatchObject({ name: "web-2", state: "ready" });
    const deleted = held();
    deleted.write("api", admitDelete(deleted.state, "workload", "default", "web").items);
    deleted.pass(60_000);
    expect(deleted.state.workloads.size).toBe(0);
    const changed = held();
    changed.apply(workloadManifest("web", { replicas: 1, onNodeLost: "replace" }));
    changed.converge();
    expect(changed.pods().filter(isLive)).toMatchObject([{ name: "web-2", state: "ready" }]);
  });

  it("lets no template change, drain or scaling make another pod in its place", () => {
    const cluster = running({ replicas: 1, onNodeLost: "hold" });
    const node = only(cluster).node ?? "";
    cluster.silent.add(node);
    cluster.pass(5000);
    cluster.apply(
      workloadManifest("web", { replicas: 1, onNodeLost: "hold", containers: [{ name: "main", image: "app:2" }] }),
    );
    cluster.write("api", admitMode(cluster.state, node, "draining").items);
    cluster.pass(60_000);
    expect(names(cluster)).toEqual(["web-1"]);
    expect(nodeObject(cluster.state, node)?.status.mode).toBe("draining");
    for (const replicas of [0, 1]) {
      cluster.write("api", admitScale(cluster.state, "default", "web", replicas).items);
      cluster.pass(60_000);
    }
    expect(names(cluster)).toEqual(["web-1"]);
    cluster.silent.clear();
    cluster.pass(1000);
    cluster.converge();
    expect(only(cluster)).toMatchObject({ name: "web-2", state: "ready" });
  });

  it("counts a slot once whose next pod was ready before its node fell silent", () => {
    const cluster = running({ replicas: 1, onNodeLost: "hold" });
    const { name, node } = only(cluster);
    cluster.apply(
      workloadManifest("web", { replicas: 1, onNodeLost: "hold", containers: [{ name: "main", image: "app:2" }] }),
    );
    cluster.report("default/web-2", "ready");
    cluster.pass(3000);
    expect(cluster.state.pods.get(`default/${name}`)?.desired).toBe("stop");
    cluster.silent.add(node ?? "");
    cluster.pass(60_000);
    expect(cluster.pods().map(({ name: pod, unheard }) => [pod, unheard])).toEqual([
      [name, true],
      ["web-2", false],
    ]);
    cluster.write("api", admitScale(cluster.state, "default", "web", 2).items);
    cluster.converge();
    expect(cluster.pods().map(({ name: pod, slot, state }) => [pod, slot, state])).toEqual([
      [name, 0, "stopping"],
      ["web-2", 0, "ready"],
      ["web-3", 1, "ready"],
    ]);
  });

  it("with a fence says that the pod is stopped, and sends nobody there before it says that it runs again", () => {
    const cluster = running({ ...fence, onNodeLost: "hold" });
    const { name, node } = only(cluster);
    cluster.silent.add(node ?? "");
    cluster.pass(fenceWaitMs(fence, false) - 500);
    expect(only(cluster).held).toBeNull();
    cluster.pass(600_000);
    expect(names(cluster)).toEqual([name]);
    expect(status(cluster, name)?.message).toContain("its agent has stopped it");
    cluster.silent.clear();
    cluster.pass(1000);
    expect(only(cluster)).toMatchObject({ held: null, state: "backoff" });
    expect(shard(cluster)).not.toContain(`/${name}"`);
    cluster.converge();
    expect(shard(cluster)).toContain(`/${name}"`);
  });
});

describe("the replacement of many pods", () => {
  it("takes turns: one a second for each node that is left, and never less than twenty", () => {
    const labels = { disk: "large" };
    const lostOf = (replicas: number, others: number): number[] => {
      const rest = Array.from({ length: others }, (_, at) => [`m${at}`, {}]);
      const cluster = new TestCluster({ n1: { labels }, ...Object.fromEntries(rest) });
      cluster.apply(workloadManifest("web", { replicas, nodeSelector: labels }));
      cluster.silent.add("n1");
      const counts: number[] = [];
      cluster.pass(14_500);
      for (let second = 0; second < 4; second++) {
        cluster.pass(1000);
        counts.push(cluster.pods().filter((pod) => pod.state === "lost").length);
      }
      return counts;
    };
    expect(lostOf(50, 2)).toEqual([20, 40, 50, 50]);
    expect(lostOf(45, 39)).toEqual([39, 45, 45, 45]);
  });
});
