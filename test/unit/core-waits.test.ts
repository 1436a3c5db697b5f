// What waits for something: that it is not taken for late, does not come to nothing, and says why.
import { expect, it } from "vitest";
import { admitScale } from "../../services/core/admit/change.ts";
import { check } from "../../services/core/check.ts";
import { podObject, workloadObject } from "../../services/core/project.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";
import { image } from "../support/rollout.ts";

const status = (cluster: TestCluster) => workloadObject(cluster.state, "default/web")?.status;
const shown = (cluster: TestCluster): string[] => cluster.pods().map(({ name, state }) => `${name} ${state}`);

it("begins the time of a new pod that needs the fixed port of one on its way out when that is gone", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  const spec = (release: string): object => ({
    replicas: 2,
    progressDeadline: "30s",
    containers: [{ name: "main", image: release, ports: [{ name: "http", containerPort: 80, hostPort: 8080 }] }],
  });
  cluster.apply(workloadManifest("web", spec("app:1")), serviceManifest("web"));
  cluster.converge();
  cluster.apply(workloadManifest("web", spec("app:2")));
  // It takes its time to stop.
  cluster.pass(100_000);
  expect(shown(cluster)).toEqual(["web-1 stopping", "web-2 ready"]);
  expect(status(cluster)?.phase).toBe("progressing");
  cluster.report("default/web-1", "stopped");
  cluster.pass(20_000);
  expect(shown(cluster)).toEqual(["web-2 ready", "web-3 assigned"]);
  expect(status(cluster)?.phase).toBe("progressing");
  cluster.converge();
  expect(status(cluster)).toMatchObject({ phase: "steady", ready: 2, updated: 2 });
});

it("makes it at once where another node has the port free", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  const spec = (release: string): object => ({
    replicas: 1,
    containers: [{ name: "main", image: release, ports: [{ name: "http", containerPort: 80, hostPort: 8080 }] }],
  });
  cluster.apply(workloadManifest("web", spec("app:1")));
  cluster.converge();
  cluster.apply(workloadManifest("web", spec("app:2")));
  expect(shown(cluster)).toEqual(["web-1 stopping", "web-2 assigned"]);
});

it("gives no node to a pod that waited for one and is stopped in the same plan", () => {
  const capacity = { cpuMillis: 4000, memoryBytes: 8 * 1024 ** 3, pods: 1 };
  const cluster = new TestCluster({ n1: { capacity } });
  cluster.apply(workloadManifest("web", { replicas: 2, ...image("app:1") }));
  cluster.converge();
  expect(shown(cluster)).toEqual(["web-1 ready", "web-2 pending"]);
  cluster.join("n2", { capacity });
  cluster.write("api", admitScale(cluster.state, "default", "web", 1).items);
  cluster.settle();
  cluster.converge();
  expect(shown(cluster)).toEqual(["web-1 ready"]);
  // Nor would the checker let it.
  cluster.apply(workloadManifest("web", { replicas: 3, ...image("app:1") }));
  const waiting = cluster.pods().find(({ state }) => state === "pending")!;
  const { namespace, name, slot, template } = waiting;
  const base = { kind: "pod", namespace, name } as const;
  const stop = { ...base, verb: "stopping", drain: false, reason: "SCALED_DOWN", message: "" } as const;
  const place = { ...base, verb: "assigned", workload: "web", slot, template, node: "n1" } as const;
  const violations = check(cluster.state, [stop, place], cluster.view()).map(({ code }) => code);
  expect(violations).toContain("ILLEGAL_TRANSITION");
});

it("says why a workload is not ready, also where its pods run and their checks do not pass", () => {
  const cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, fence: true, ...image("app:1") }));
  cluster.report("default/web-1", "running", { reason: "NOT_READY", message: "Port http does not answer." });
  expect(status(cluster)).toMatchObject({
    phase: "progressing",
    reason: "NOT_READY",
    message: "web-1: Port http does not answer.",
  });
});

it("changes a task that ended on a node that is gone, also where pods wait for their node", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  const task = (release: string): unknown =>
    workloadManifest("web", {
      replicas: 1,
      restartPolicy: "OnFailure",
      onNodeLost: "hold",
      containers: [{ name: "main", image: release }],
    });
  cluster.apply(task("app:1"));
  cluster.report("default/web-1", "ready");
  cluster.report("default/web-1", "stopped", { reason: "COMPLETED" });
  cluster.silent.add(cluster.pods()[0]?.node ?? "");
  cluster.pass(30_000);
  cluster.apply(task("app:2"));
  cluster.report("default/web-2", "ready");
  cluster.pass(60_000);
  expect(shown(cluster)).toEqual(["web-1 lost", "web-2 ready"]);
  expect(status(cluster)).toMatchObject({ phase: "steady", updated: 1 });
});

it("makes what needs a fixed port beside one on its way out whose node is waited for, and says why it finds no node", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  const ports = [{ name: "http", containerPort: 80, hostPort: 8080 }];
  const spec = { fence: true, onNodeLost: "hold" as const, containers: [{ name: "main", image: "app:1", ports }] };
  cluster.apply(workloadManifest("web", { replicas: 2, ...spec }));
  cluster.converge();
  cluster.write("api", admitScale(cluster.state, "default", "web", 1).items);
  cluster.settle();
  const leaving = cluster.pods().find(({ state }) => state === "stopping");
  cluster.silent.add(leaving?.node ?? "");
  cluster.pass(60_000);
  cluster.write("api", admitScale(cluster.state, "default", "web", 3).items);
  cluster.settle();
  expect(shown(cluster)).toEqual(["web-1 ready", "web-2 stopping", "web-3 pending"]);
  expect(cluster.pods().at(-1)).toMatchObject({ reason: expect.stringMatching(/./) });
});

it("says of pods on an unheard node, and of their workload, that the node is unheard", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  cluster.apply(workloadManifest("web", { lostAfter: "120s", ...image("app:1") }));
  cluster.converge();
  cluster.silent.add(cluster.pods()[0]?.node ?? "");
  cluster.pass(10_000);
  const why = { reason: "NODE_UNHEARD", message: expect.stringMatching(/Node n\d is unheard\.$/) };
  expect(podObject(cluster.state, "default/web-1")?.status).toMatchObject({ state: "unknown", ...why });
  expect(status(cluster)).toMatchObject({ ready: 0, ...why });
  cluster.silent.clear();
  cluster.pass(5000);
  expect(podObject(cluster.state, "default/web-1")?.status).toMatchObject({ state: "ready", reason: "", message: "" });
  expect(status(cluster)).toMatchObject({ ready: 1, reason: "" });
});
