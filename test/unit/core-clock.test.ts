// What waits for a time, after a takeover by a controller whose clock lies behind that of the leader before: it waits its
// whole time anew at most.
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

/** The term grows older, too. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 500) {
    cluster.termAgeMs += 500;
    cluster.pass(500);
  }
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
    pass(10_000);
    expect(lost()).toBe(0);
    pass(5000);
    expect(lost()).toBe(1);
  });

  it("a pod that a proxy does not let go is stopped after ten seconds", () => {
    const applied = new Map([["default/web", new Map([["0", 1]])]]);
    cluster.proxies = [{ id: "p1", heardAgoMs: 0, whole: true, applied, open: new Map() }];
    cluster.apply(workloadManifest("web", { replicas: 3 }));
    takeOverAnHourBehind();
    pass(9000);
    expect(cluster.state.draining.size).toBe(1);
    pass(1000);
    expect(cluster.state.draining.size).toBe(0);
  });

  it("a template change that makes no progress is halted after progressDeadline", () => {
    cluster.apply(workloadManifest("web", changed));
    takeOverAnHourBehind();
    const halted = (): string | undefined => cluster.state.workloads.get("default/web")?.halted?.reason;
    pass(59_000);
    expect(halted()).toBeUndefined();
    pass(1000);
    expect(halted()).toBe("PROGRESS_DEADLINE");
  });

  it("a drain says after progressDeadline that a copy does not become ready", () => {
    cluster.write("api", admitMode(cluster.state, "n1", "draining").items);
    cluster.settle();
    takeOverAnHourBehind();
    const told = (): string | undefined => nodeObject(cluster.state, "n1")?.status.message;
    pass(59_000);
    expect(told()).toBe("");
    pass(1000);
    expect(told()).toBe("Pod web-1 cannot move: its copy web-5 is assigned.");
  });
});
