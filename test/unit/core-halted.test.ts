// Changes that are halted: what they leave serves on, and they end.
import { expect, it } from "vitest";
import { admitMode, admitRemoval } from "../../services/core/admit/node.ts";
import { admitScale } from "../../services/core/admit/change.ts";
import type { PodRecord } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { workloadObject } from "../../services/core/project.ts";
import { Decoder } from "../../services/core/snapshot/decode.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { image, imageOf } from "../support/rollout.ts";

it("gives slots that have only broken pods back to the old template while it is halted, beside them", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  cluster.converge();
  const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
  const old = cluster.pods()[0]?.node ?? "";
  cluster.apply(workloadManifest("web", image("app:broken")));
  // Grown during the change, so that its second slot begins with the new template.
  cluster.apply(workloadManifest("web", { replicas: 2, ...image("app:broken") }));
  cluster.converge(broken);
  cluster.silent.add(old);
  cluster.pass(20_000);
  cluster.converge(broken);
  const shown = (): string[] =>
    cluster
      .pods()
      .map((pod) => `${pod.slot} ${imageOf(cluster, pod)} ${pod.state}/${pod.desired}`)
      .sort();
  const served = (): string[] => shown().filter((text) => text.includes("ready"));
  expect(cluster.state.workloads.get("default/web")?.halted?.reason).toBe("IMAGE_NOT_FOUND");
  expect(served()).toEqual(["0 app:1 ready/run", "1 app:1 ready/run"]);
  cluster.silent.clear();
  cluster.pass(60_000);
  cluster.converge(broken);
  expect(served()).toEqual(["0 app:1 ready/run", "1 app:1 ready/run"]);
  expect(cluster.pods().filter(broken).length).toBeLessThanOrEqual(2);
  // Once it works the change goes on.
  cluster.converge();
  expect(cluster.state.workloads.get("default/web")?.halted).toBeNull();
  expect(shown()).toEqual(["0 app:broken ready/run", "1 app:broken ready/run"]);
});

it("ends a halted change once the count leaves only pods that are changed and ready", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 3, ...image("app:1") }));
  cluster.converge();
  const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:2" && pod.slot === 2;
  cluster.apply(workloadManifest("web", image("app:2")));
  cluster.converge(broken);
  const status = (): unknown => workloadObject(cluster.state, "default/web")?.status;
  expect(status()).toMatchObject({ phase: "halted", pods: 4, updated: 3 });
  cluster.write("api", admitScale(cluster.state, "default", "web", 2).items);
  cluster.settle();
  cluster.converge(broken);
  expect(status()).toMatchObject({ phase: "steady", pods: 2, ready: 2, updated: 2, reason: "", message: "" });
  expect(cluster.state.workloads.get("default/web")?.templates.size).toBe(1);
});

it("leaves a change halted as long as something is not changed, also where nothing of it is left", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 2, ...image("app:1") }));
  cluster.converge();
  const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
  cluster.apply(workloadManifest("web", image("app:broken")));
  cluster.converge(broken);
  const halted = (): unknown => cluster.state.workloads.get("default/web")?.halted?.reason;
  cluster.silent.add(cluster.pods().find(broken)?.node ?? "");
  cluster.pass(60_000);
  cluster.converge(broken);
  expect([halted(), cluster.pods().filter((pod) => broken(pod) && pod.state !== "lost")]).toEqual([
    "IMAGE_NOT_FOUND",
    [],
  ]);
  cluster.silent.clear();
  cluster.write("api", admitScale(cluster.state, "default", "web", 0).items);
  cluster.settle();
  cluster.converge(broken);
  expect([halted(), cluster.pods()]).toEqual([undefined, []]);
});

it("makes one copy alone where a drain meets a pod that was ready once beside one that did its work", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
  const task = (release: string, replicas: number): unknown =>
    workloadManifest("web", { replicas, restartPolicy: "OnFailure", containers: [{ name: "main", image: release }] });
  cluster.apply(task("app:1", 1));
  cluster.report("default/web-1", "ready");
  cluster.pass(3000);
  cluster.report("default/web-1", "stopped", { reason: "COMPLETED" });
  cluster.apply(task("app:2", 1));
  cluster.report("default/web-2", "ready");
  cluster.report("default/web-2", "backoff", { reason: "EXITED", message: "Exited with code 1.", restarts: 1 });
  cluster.apply(task("app:3", 2));
  cluster.report("default/web-3", "failed", { reason: "IMAGE_NOT_FOUND", message: "no" });
  const node = cluster.pods().find(({ name }) => name === "web-2")?.node ?? "";
  cluster.write("api", admitMode(cluster.state, node, "draining").items);
  cluster.settle();
  const copies = cluster.pods().filter((pod) => pod.slot === 0 && imageOf(cluster, pod) === "app:2");
  expect(copies.map(({ name, desired }) => [name, desired])).toEqual([
    ["web-2", "run"],
    [expect.any(String), "run"],
  ]);
});

it("stays halted, and goes back to the old template, where nothing of it is left at all", () => {
  const nodes = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`n${at + 1}`, {}]));
  const cluster = new TestCluster(nodes);
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  cluster.converge();
  const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
  cluster.apply(workloadManifest("web", image("app:broken")));
  cluster.converge(broken);
  for (const { node } of cluster.pods()) cluster.silent.add(node ?? "");
  cluster.pass(60_000);
  cluster.converge(broken);
  const { halted } = cluster.state.workloads.get("default/web") ?? {};
  const living = cluster.pods().filter(({ state }) => state !== "lost");
  expect([halted?.reason, living.map((pod) => imageOf(cluster, pod))]).toEqual(["IMAGE_NOT_FOUND", ["app:1"]]);
});

it("puts nothing beside a task that did its work while the change of another is halted", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  const task = (release: string): unknown =>
    workloadManifest("web", { replicas: 2, restartPolicy: "Never", containers: [{ name: "main", image: release }] });
  cluster.apply(task("app:1"));
  for (const { key } of cluster.pods()) cluster.report(key, "ready");
  cluster.pass(3000);
  cluster.apply(task("app:2"));
  cluster.report("default/web-3", "stopped", { reason: "COMPLETED" });
  cluster.report("default/web-1", "stopped");
  cluster.report("default/web-4", "failed", { reason: "EXITED", message: "Exited with code 1." });
  const shown = (): string[] =>
    cluster.pods().flatMap((pod) => (pod.state === "lost" ? [] : `${pod.slot} ${imageOf(cluster, pod)} ${pod.state}`));
  expect(shown()).toEqual(["1 app:1 ready", "0 app:2 stopped", "1 app:2 failed"]);
  // But beside one that failed for good, where the old one went with its node.
  cluster.silent.add(cluster.pods().find(({ name }) => name === "web-2")?.node ?? "");
  cluster.pass(60_000);
  expect(shown()).toEqual(["0 app:2 stopped", "1 app:2 failed", "1 app:1 assigned"]);
});

it.each(["hold", "replace"] as const)(
  "goes back to the template that was ready also where its last pod is removed with its node (onNodeLost: %s)",
  (onNodeLost) => {
    const cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
    cluster.apply(workloadManifest("web", { replicas: 1, onNodeLost, ...image("app:1") }));
    cluster.converge();
    const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
    cluster.apply(workloadManifest("web", { replicas: 1, onNodeLost, ...image("app:broken") }));
    cluster.converge(broken);
    const node = cluster.pods().find((pod) => !broken(pod))?.node ?? "";
    cluster.silent.add(node);
    cluster.pass(6000);
    cluster.write("api", admitRemoval(cluster.state, node, false).items);
    cluster.settle();
    cluster.converge(broken);
    const ready = cluster.pods().filter(({ state }) => state === "ready");
    expect(ready.map((pod) => imageOf(cluster, pod))).toEqual(["app:1"]);
    // A snapshot keeps it.
    const decoder = new Decoder();
    for (const line of encodeState(cluster.state)) decoder.line(line);
    expect(decoder.end().workloads.get("default/web")).toEqual(cluster.state.workloads.get("default/web"));
  },
);

it("has a broken pod make room where the one of the template that was ready finds none", () => {
  const capacity = { cpuMillis: 4000, memoryBytes: 8 * 1024 ** 3, pods: 1 };
  const cluster = new TestCluster({ n1: { capacity }, n2: { capacity } });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  cluster.converge();
  const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
  cluster.apply(workloadManifest("web", image("app:broken")));
  cluster.converge(broken);
  cluster.silent.add(cluster.pods().find((pod) => !broken(pod))?.node ?? "");
  cluster.pass(20_000);
  cluster.converge(broken);
  const living = cluster.pods().filter(({ state }) => state !== "lost");
  expect(living.map((pod) => [imageOf(cluster, pod), pod.state])).toEqual([["app:1", "ready"]]);
});

it("goes back also beside a pod that was ready once and ends again and again, and makes nothing for what is given up", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  cluster.converge();
  cluster.apply(workloadManifest("web", image("app:2")));
  const [old, fresh] = cluster.pods();
  const ends = { reason: "EXITED", message: "Exited with code 1." } as const;
  Object.assign(cluster.state.pods.get(fresh?.key ?? "")!, { wasReady: true });
  cluster.report(fresh?.key ?? "", "backoff", { ...ends, restarts: 1 });
  expect(cluster.state.workloads.get("default/web")?.halted?.from).toBe(old?.template);
  cluster.silent.add(old?.node ?? "");
  cluster.pass(20_000);
  const made = (): (string | undefined)[] =>
    cluster.pods().flatMap((pod) => (pod.state === "lost" ? [] : `${imageOf(cluster, pod)} ${pod.desired}`));
  expect(made()).toEqual(["app:2 run", "app:1 run"]);
  cluster.write("api", admitScale(cluster.state, "default", "web", 0).items);
  const { items } = plan(cluster.state, cluster.view(), "all");
  expect(items.map((item) => item.verb)).toEqual(["stopping", "stopping"]);
});

it("makes nothing in a slot that the same plan gives up", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 2, ...image("app:1") }));
  cluster.converge();
  const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
  cluster.apply(workloadManifest("web", image("app:broken")));
  cluster.converge(broken);
  const stuck = cluster.pods().find(broken)!;
  const beside = cluster.pods().find((pod) => pod.slot === stuck.slot && pod !== stuck)!;
  Object.assign(beside, { state: "lost", desired: "stop" });
  cluster.write("api", admitScale(cluster.state, "default", "web", 1).items);
  const { items } = plan(cluster.state, cluster.view(), "all");
  expect(items.map((item) => item.verb)).toEqual(["stopping"]);
});

it("goes back to a template whose pods became ready only after the halt", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  const old = cluster.pods()[0]!;
  cluster.report(old.key, "running", { reason: "NOT_READY", message: "Port http does not answer." });
  cluster.apply(workloadManifest("web", image("app:2")));
  cluster.report("default/web-2", "failed", { reason: "IMAGE_NOT_FOUND", message: "no" });
  const from = (): unknown => cluster.state.workloads.get("default/web")?.halted?.from;
  expect(from()).toBeNull();
  cluster.report(old.key, "ready");
  expect(from()).toBe(old.template);
});

it("stops nothing that is ready to make room", () => {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  cluster.converge();
  cluster.apply(workloadManifest("web", image("app:2")));
  cluster.report("default/web-2", "backoff", { reason: "EXITED", message: "Exited with code 1.", restarts: 1 });
  Object.assign(cluster.state.pods.get("default/web-2")!, { state: "ready", wasReady: true });
  Object.assign(cluster.state.pods.get("default/web-1")!, { state: "pending", node: null });
  const { items } = plan(cluster.state, cluster.view(), "all");
  expect(items.map((item) => item.verb)).not.toContain("stopping");
});

it("forgets the old template with the pod whose removal ends the change", () => {
  const cluster = new TestCluster({ n1: {}, n2: {} });
  cluster.apply(workloadManifest("web", { replicas: 2, ...image("app:1") }));
  cluster.converge();
  cluster.apply(workloadManifest("web", image("app:2")));
  cluster.converge((pod) => imageOf(cluster, pod) === "app:2" && pod.slot === 1);
  const web = cluster.state.workloads.get("default/web")!;
  expect([web.halted?.reason, web.templates.size]).toEqual(["IMAGE_NOT_FOUND", 2]);
  const left = cluster.pods().filter(({ slot }) => slot === 1);
  expect(left.map(({ node }) => node)).toEqual(["n2", "n2"]);
  cluster.write("api", admitRemoval(cluster.state, "n2", true).items);
  expect([web.halted, web.templates.size]).toEqual([null, 1]);
});
