// What waits for a time, after a takeover by a controller whose clock is not that of the leader before: where it lies behind it
// waits its whole time anew at most, and where it lies ahead no less than it should.
import { beforeEach, describe, expect, it } from "vitest";
import { admitMode } from "../../services/core/admit/node.ts";
import { nodeObject } from "../../services/core/project.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

const hourMs = 3_600_000;

let cluster: TestCluster;

/** Everybody but the silent was heard a moment ago. */
function takeOverAnHourBehind(): void {
  cluster.now -= hourMs;
  for (const id of cluster.heardAt.keys()) cluster.heardAt.set(id, cluster.now - (cluster.silent.has(id) ? 10_000 : 0));
  cluster.termAgeMs = 0;
  cluster.elect("c2");
}

const changed = { containers: [{ name: "main", image: "app:2", ports: [{ name: "http", containerPort: 80 }] }] };

beforeEach(() => {
  cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.now += hourMs;
  for (const id of cluster.heardAt.keys()) cluster.heardAt.set(id, cluster.now);
  cluster.apply(workloadManifest("web", { replicas: 4 }), serviceManifest("web"));
  cluster.converge();
});

describe("after a takeover by a controller whose clock is an hour behind", () => {
  it("pods of a dead node are replaced after lostAfter", () => {
    cluster.silent.add("n1");
    cluster.pass(5000);
    takeOverAnHourBehind();
    const lost = (): number => cluster.pods().filter((pod) => pod.state === "lost").length;
    cluster.pass(10_000);
    expect(lost()).toBe(0);
    cluster.pass(5000);
    expect(lost()).toBe(1);
  });

  it("a pod that a proxy does not let go is stopped after ten seconds", () => {
    const applied = new Map([["default/web", new Map([["0", 1]])]]);
    cluster.proxies = [{ id: "p1", heardAgoMs: 0, reachableMs: 60_000, whole: true, applied, open: new Map() }];
    cluster.apply(workloadManifest("web", { replicas: 3 }));
    takeOverAnHourBehind();
    cluster.pass(9000);
    expect(cluster.state.draining.size).toBe(1);
    cluster.pass(1000);
    expect(cluster.state.draining.size).toBe(0);
  });

  it("a template change that makes no progress is halted after progressDeadline", () => {
    cluster.apply(workloadManifest("web", changed));
    takeOverAnHourBehind();
    const halted = (): string | undefined => cluster.state.workloads.get("default/web")?.halted?.reason;
    cluster.pass(59_000);
    expect(halted()).toBeUndefined();
    cluster.pass(1000);
    expect(halted()).toBe("PROGRESS_DEADLINE");
  });

  it("a drain says after progressDeadline that a copy does not become ready", () => {
    cluster.write("api", admitMode(cluster.state, "n1", "draining").items);
    cluster.settle();
    takeOverAnHourBehind();
    const told = (): string | undefined => nodeObject(cluster.state, "n1")?.status.message;
    cluster.pass(59_000);
    expect(told()).toBe("");
    cluster.pass(1000);
    expect(told()).toBe("Pod web-1 cannot move: its copy web-5 is assigned.");
  });
});

describe("after a takeover from a leader that called one node unheard and ended", () => {
  it("no pod is given up before the others that fell silent with it are seen", () => {
    cluster.apply(workloadManifest("web", { replicas: 4, lostAfter: "5s" }));
    cluster.converge();
    // All fall silent; the first is found.
    for (const id of ["n1", "n2", "n3"]) cluster.silent.add(id);
    cluster.heardAt.set("n1", cluster.now - 4000);
    cluster.settle();
    expect([...cluster.state.nodes.values()].filter(({ state }) => state === "unknown")).toHaveLength(1);
    cluster.now += 3000;
    cluster.elect("c2");
    cluster.silentMs = 3000;
    cluster.termAgeMs = 0;
    for (const id of cluster.silent) cluster.heardAt.delete(id);
    cluster.pass(10_000);
    expect(cluster.pods().filter(({ state }) => state === "lost")).toEqual([]);
    expect(cluster.state.nodes.get("n2")?.reason).toBe("MASS_LOSS_HELD");
  });
});

describe.each([0, 20_000, 400_000])("after a takeover by a controller whose clock is %i ms ahead", (aheadMs) => {
  const tookMs = 3000;

  /** Another leads, and has done so for as long; it has heard only who speaks. */
  function takeOver(ageMs: number): void {
    cluster.silentMs = cluster.now - cluster.state.time + tookMs;
    cluster.now += tookMs + aheadMs;
    cluster.elect("c2");
    cluster.termAgeMs = ageMs;
    cluster.now += ageMs;
    for (const id of cluster.heardAt.keys()) {
      if (cluster.silent.has(id)) cluster.heardAt.delete(id);
      else cluster.heardAt.set(id, cluster.now);
    }
  }
  const lost = (): string[] => cluster.pods().flatMap(({ name, state }) => (state === "lost" ? [name] : []));

  it("no pod is given up before its node was silent for lostAfter, and then it is", () => {
    cluster.apply(workloadManifest("web", { replicas: 4, lostAfter: "60s" }));
    cluster.converge();
    cluster.silent.add("n1");
    cluster.pass(4500);
    expect(cluster.state.nodes.get("n1")?.state).toBe("unknown");
    takeOver(2600);
    cluster.pass(48_000);
    expect(lost()).toEqual([]);
    cluster.pass(3500);
    expect(lost()).toHaveLength(1);
  });

  it("a mass loss is held for five minutes", () => {
    for (const id of ["n1", "n2", "n3"]) cluster.silent.add(id);
    cluster.pass(4500);
    expect(cluster.state.nodes.get("n1")?.reason).toBe("MASS_LOSS_HELD");
    takeOver(2600);
    cluster.settle();
    expect(lost()).toEqual([]);
  });

  it("a template change has its whole progressDeadline", () => {
    cluster.apply(workloadManifest("web", changed));
    cluster.pass(10_000);
    takeOver(2600);
    cluster.pass(43_000);
    expect(cluster.state.workloads.get("default/web")?.halted).toBeNull();
    cluster.pass(2500);
    expect(cluster.state.workloads.get("default/web")?.halted?.reason).toBe("PROGRESS_DEADLINE");
  });
});
