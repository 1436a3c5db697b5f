import { describe, expect, it } from "vitest";
import { admitMode } from "../../services/core/admit/node.ts";
import type { PodRecord } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { projection } from "../../services/core/project.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { image, imageOf, running } from "../support/rollout.ts";

const readyCount = (cluster: TestCluster): number =>
  cluster.pods().filter((pod) => pod.state === "ready" && pod.desired === "run").length;

/** Neither ports nor readiness. */
const plain = (name: string): object => ({ containers: [{ name: "main", image: name }] });
const readyOf = (cluster: TestCluster, name: string): number =>
  cluster.pods().filter((pod) => pod.desired === "run" && pod.state === "ready" && imageOf(cluster, pod) === name)
    .length;

function unchecked(): TestCluster {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
  cluster.apply(workloadManifest("web", { replicas: 3, ...plain("app:1") }));
  cluster.converge();
  return cluster;
}

describe("a template change", () => {
  it("goes one by one and never below the wished ready count", () => {
    const cluster = running();
    cluster.apply(workloadManifest("web", image("app:2")));
    for (let step = 0; step < 50; step++) {
      expect(readyCount(cluster)).toBeGreaterThanOrEqual(3);
      const starting = cluster.pods().filter((pod) => pod.state === "assigned");
      expect(starting.length).toBeLessThanOrEqual(1);
      const [next] = starting.concat(cluster.pods().filter((pod) => pod.desired === "stop"));
      if (next === undefined) break;
      cluster.report(next.key, next.desired === "stop" ? "stopped" : "ready");
    }
    expect(cluster.pods().map((pod) => imageOf(cluster, pod))).toEqual(["app:2", "app:2", "app:2"]);
    expect(JSON.parse(projection(cluster.state, "workloads", "default.web") ?? "").status).toMatchObject({
      phase: "steady",
      updated: 3,
    });
  });

  it("keeps the pods spread as they were", () => {
    const cluster = running();
    const perNode = (): number[] =>
      ["n1", "n2", "n3"].map((node) => cluster.pods().filter((pod) => pod.node === node).length);
    for (const release of ["app:2", "app:3"]) {
      cluster.apply(workloadManifest("web", image(release)));
      cluster.converge();
      expect(perNode()).toEqual([1, 1, 1]);
    }
  });

  it("to a broken image halts with its reason, the old pods serve on, and going back heals it", () => {
    const cluster = running();
    const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
    cluster.apply(workloadManifest("web", image("app:broken")));
    cluster.converge(broken);
    const workload = cluster.state.workloads.get("default/web");
    expect(workload?.halted?.reason).toBe("IMAGE_NOT_FOUND");
    expect(cluster.pods().filter((pod) => imageOf(cluster, pod) === "app:1" && pod.state === "ready")).toHaveLength(3);
    expect(cluster.pods().filter(broken)).toHaveLength(1);
    const served = cluster
      .pods()
      .filter((pod) => pod.state === "ready")
      .map((pod) => pod.name);
    cluster.apply(workloadManifest("web", image("app:1")));
    cluster.converge(broken);
    expect(cluster.pods().map((pod) => pod.name)).toEqual(served);
    expect(cluster.state.workloads.get("default/web")?.halted).toBeNull();
  });

  it("heals a lost pod from the old template while it is halted", () => {
    const cluster = running();
    const broken = (pod: PodRecord): boolean => imageOf(cluster, pod) === "app:broken";
    cluster.apply(workloadManifest("web", image("app:broken")));
    cluster.converge(broken);
    const stuck = cluster.pods().find(broken);
    const victim = cluster.pods().find((pod) => !broken(pod) && pod.node !== stuck?.node)?.node ?? "";
    cluster.silent.add(victim);
    cluster.pass(20_000);
    cluster.converge(broken);
    expect(cluster.pods().filter((pod) => pod.state === "ready" && imageOf(cluster, pod) === "app:1")).toHaveLength(3);
  });

  it("that never becomes ready halts at the progress deadline", () => {
    const cluster = running();
    cluster.apply(workloadManifest("web", { ...image("app:slow"), progressDeadline: "30s" }));
    cluster.report("default/web-4", "running", { reason: "NOT_READY", message: "Port http does not answer." });
    cluster.pass(29_000);
    expect(cluster.state.workloads.get("default/web")?.halted).toBeNull();
    cluster.pass(2000);
    expect(cluster.state.workloads.get("default/web")?.halted).toMatchObject({ reason: "NOT_READY" });
  });

  it("goes on while a pod that was changed long ago is not ready for a moment", () => {
    const cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
    const spec = (release: string): object => ({
      progressDeadline: "30s",
      containers: [{ name: "main", image: release, ports: [{ name: "http", containerPort: 80, hostPort: 8080 }] }],
    });
    cluster.apply(workloadManifest("web", { replicas: 3, ...spec("app:1") }));
    cluster.converge();
    cluster.apply(workloadManifest("web", spec("app:2")));
    cluster.report("default/web-1", "stopped");
    cluster.pass(20_000);
    cluster.report("default/web-4", "ready");
    // The next one waits for the port of one that takes its time to stop.
    cluster.pass(12_000);
    const states = cluster.pods().map(({ name, state }) => `${name} ${state}`);
    expect(states).toEqual(["web-2 stopping", "web-3 ready", "web-4 ready"]);
    cluster.report("default/web-4", "running", { reason: "NOT_READY", message: "Port http does not answer." });
    cluster.pass(3000);
    expect(cluster.state.workloads.get("default/web")?.halted).toBeNull();
  });

  it("stays halted while a pod that was changed before is not ready for a moment, and goes on when the one it stopped at is", () => {
    const cluster = running();
    cluster.apply(workloadManifest("web", image("app:2")));
    cluster.report("default/web-4", "ready");
    cluster.report("default/web-1", "stopped");
    cluster.report("default/web-5", "backoff", { reason: "EXITED", message: "Exited with code 1.", restarts: 1 });
    expect(cluster.state.workloads.get("default/web")?.halted).toMatchObject({ reason: "EXITED" });
    cluster.report("default/web-5", "starting", { restarts: 1 });
    cluster.report("default/web-4", "running", { reason: "NOT_READY", message: "Port http does not answer." });
    const before = cluster.state.sequence;
    cluster.report("default/web-4", "ready");
    expect(cluster.state.sequence).toBe(before + 1);
    expect(cluster.state.workloads.get("default/web")?.halted).toMatchObject({ reason: "EXITED" });
    const lost = cluster.pods().find(({ name }) => name === "web-3");
    cluster.silent.add(lost?.node ?? "");
    cluster.pass(20_000);
    const healed = cluster.pods().filter(({ name }) => name === "web-6");
    expect(healed.map((pod) => imageOf(cluster, pod))).toEqual(["app:1"]);
    cluster.silent.clear();
    cluster.pass(1000);
    cluster.report("default/web-5", "ready", { restarts: 1 });
    expect(cluster.state.workloads.get("default/web")?.halted).toBeNull();
  });

  it("to a program that nothing checks and that exits at once halts at the first pod", () => {
    const cluster = unchecked();
    cluster.apply(workloadManifest("web", plain("app:2")));
    const next = cluster.pods().at(-1)?.key ?? "";
    cluster.report(next, "ready");
    expect(plan(cluster.state, cluster.view(), "all").wakeInMs).toBe(2000);
    cluster.pass(1500);
    cluster.report(next, "starting", { restarts: 1 });
    cluster.report(next, "ready", { restarts: 1 });
    cluster.pass(1500);
    expect(readyOf(cluster, "app:1")).toBe(3);
    cluster.report(next, "backoff", { reason: "EXITED", message: "Container main exited with code 1.", restarts: 2 });
    expect(cluster.state.workloads.get("default/web")?.halted).toMatchObject({ reason: "EXITED" });
    // Also a moment in which it looks well changes nothing then.
    cluster.report(next, "ready", { restarts: 2 });
    cluster.pass(500);
    expect([readyOf(cluster, "app:1"), cluster.pods().length]).toEqual([3, 4]);
  });

  it("whose new pod ends and is ready for a moment again and again takes no pod out, until it stays up for a minute", () => {
    const cluster = running();
    cluster.apply(workloadManifest("web", image("app:2")));
    const states = (): string[] => cluster.pods().map(({ name, state }) => `${name} ${state}`);
    const old = ["web-1 ready", "web-2 ready", "web-3 ready"];
    for (let restarts = 1; restarts < 4; restarts += 1) {
      cluster.report("default/web-4", "backoff", { reason: "EXITED", message: "Exited with code 1.", restarts });
      expect(cluster.state.workloads.get("default/web")?.halted).toMatchObject({ reason: "EXITED" });
      cluster.pass(60_000);
      cluster.report("default/web-4", "ready", { restarts });
      cluster.pass(1000);
      expect(states()).toEqual([...old, "web-4 ready"]);
    }
    cluster.pass(58_000);
    expect(states()).toEqual([...old, "web-4 ready"]);
    cluster.pass(1000);
    expect(states()).toEqual(["web-1 stopping", ...old.slice(1), "web-4 ready", "web-5 assigned"]);
  });

  it("to a program that nothing checks and that stays up goes on after 2 s a pod, under any leader's clock", () => {
    const cluster = unchecked();
    cluster.apply(workloadManifest("web", plain("app:2")));
    cluster.report(cluster.pods().at(-1)?.key ?? "", "ready");
    // The next leader's clock is minutes behind: its own time in office counts.
    cluster.elect("c2");
    cluster.now -= 500_000;
    for (const id of ["n1", "n2", "n3"]) cluster.heardAt.set(id, cluster.now);
    cluster.termAgeMs = 1500;
    cluster.settle();
    expect(readyOf(cluster, "app:1")).toBe(3);
    cluster.termAgeMs = 2000;
    cluster.settle();
    expect(readyOf(cluster, "app:1")).toBe(2);
    cluster.termAgeMs = 60_000;
    cluster.converge();
    expect(cluster.pods().map((pod) => imageOf(cluster, pod))).toEqual(["app:2", "app:2", "app:2"]);
  });

  it.each([0, 1000])(
    "to a program that nothing checks takes no pod out while the new one's node is silent (%i ms)",
    (heardMs) => {
      const cluster = unchecked();
      cluster.apply(workloadManifest("web", plain("app:2")));
      const next = cluster.pods().at(-1);
      cluster.report(next?.key ?? "", "ready");
      cluster.isDeaf = heardMs > 0;
      cluster.pass(heardMs);
      cluster.silent.add(next?.node ?? "");
      cluster.pass(5000);
      cluster.isDeaf = false;
      cluster.pass(5000);
      expect(readyOf(cluster, "app:1")).toBe(3);
      cluster.silent.clear();
      cluster.pass(2500);
      expect(readyOf(cluster, "app:1")).toBe(2);
    },
  );

  it("to a program that nothing checks takes no pod out before it is known how long the new one's node is silent", () => {
    const cluster = unchecked();
    cluster.apply(workloadManifest("web", plain("app:2")));
    const next = cluster.pods().at(-1);
    cluster.report(next?.key ?? "", "ready");
    // A silence that is looked into passes for less than four seconds.
    cluster.now += 5000;
    cluster.termAgeMs += 5000;
    for (const id of ["n1", "n2", "n3"]) cluster.heardAt.set(id, cluster.now - (id === next?.node ? 3500 : 0));
    cluster.settle();
    expect(readyOf(cluster, "app:1")).toBe(3);
    cluster.pass(1500);
    expect(readyOf(cluster, "app:1")).toBe(2);
  });

  it("to a program that nothing checks takes no pod out under a leader that has not heard the new one's node yet", () => {
    const cluster = unchecked();
    cluster.apply(workloadManifest("web", { lostAfter: "60s", ...plain("app:2") }));
    const next = cluster.pods().at(-1);
    cluster.report(next?.key ?? "", "ready");
    // The machine that ran the leader and the new pod is gone, and another leads 2.5 s later.
    cluster.silent.add(next?.node ?? "");
    cluster.heardAt.delete(next?.node ?? "");
    cluster.now += 2500;
    cluster.elect("c2");
    Object.assign(cluster, { now: cluster.now + 2500, silentMs: 2500, termAgeMs: 2500 });
    cluster.pass(30_000);
    expect(readyOf(cluster, "app:1")).toBe(3);
    cluster.silent.clear();
    cluster.heardAt.set(next?.node ?? "", cluster.now);
    cluster.pass(1500);
    expect(readyOf(cluster, "app:1")).toBe(2);
  });

  it("that follows another at once lets the copies come up that a drain makes of pods of two earlier ones", () => {
    const cluster = unchecked();
    cluster.apply(workloadManifest("web", plain("app:2")));
    cluster.obey();
    cluster.pass(2500);
    cluster.obey();
    const slot = cluster.pods().at(-1)?.slot;
    const both = cluster.pods().filter((pod) => pod.slot === slot);
    expect(both.map((pod) => [imageOf(cluster, pod), pod.state])).toEqual([
      ["app:1", "ready"],
      ["app:2", "ready"],
    ]);
    // The pod of the first slot stops before its successor starts; until then nothing else of the change is done.
    cluster.apply(workloadManifest("web", { fence: true, ...plain("app:3") }));
    const nodes = new Set(both.map((pod) => pod.node ?? ""));
    cluster.write(
      "api",
      [...nodes].flatMap((node) => admitMode(cluster.state, node, "draining").items),
    );
    cluster.settle();
    expect(
      cluster
        .pods()
        .filter((pod) => pod.slot === slot)
        .map((pod) => [imageOf(cluster, pod), pod.state]),
    ).toEqual([
      ["app:1", "ready"],
      ["app:2", "ready"],
      ["app:2", "assigned"],
    ]);
    cluster.converge();
  });

  it("that is undone takes no serving pod out for one whose node is silent", () => {
    const cluster = new TestCluster({ n1: {}, n2: {} });
    cluster.apply(workloadManifest("web", { lostAfter: "60s", ...plain("app:1") }));
    cluster.converge();
    cluster.pass(10_000);
    const [first] = cluster.pods();
    cluster.silent.add(first?.node ?? "");
    cluster.pass(5000);
    cluster.apply(workloadManifest("web", { lostAfter: "60s", ...plain("app:2") }));
    const next = cluster.pods().at(-1);
    cluster.report(next?.key ?? "", "ready");
    cluster.apply(workloadManifest("web", { lostAfter: "60s", ...plain("app:1") }));
    cluster.pass(10_000);
    expect(cluster.state.pods.get(next?.key ?? "")).toMatchObject({ state: "ready", desired: "run" });
    cluster.silent.clear();
    cluster.pass(1500);
    cluster.converge();
    expect(cluster.pods().map(({ key }) => key)).toEqual([first?.key]);
  });

  it("of programs that nothing checks and that run to their end goes on at once", () => {
    const cluster = unchecked();
    cluster.apply(workloadManifest("web", { restartPolicy: "Never", ...plain("app:2") }));
    cluster.report(cluster.pods().at(-1)?.key ?? "", "stopped", { reason: "COMPLETED" });
    expect(readyOf(cluster, "app:1")).toBe(2);
  });

  it("with a hostPort stops the old pod before its successor starts", () => {
    const cluster = new TestCluster({ n1: {} });
    const spec = (name: string): object => ({
      containers: [{ name: "main", image: name, ports: [{ name: "http", containerPort: 80, hostPort: 8080 }] }],
    });
    cluster.apply(workloadManifest("web", spec("app:1")));
    cluster.converge();
    cluster.apply(workloadManifest("web", spec("app:2")));
    cluster.converge();
    expect(cluster.pods().map((pod) => [imageOf(cluster, pod), pod.state])).toEqual([["app:2", "ready"]]);
  });

  it.each(["fence", "hostPort"])(
    "that stops a pod first, for a %s, stops no other while a changed one's node is silent",
    (why) => {
      const cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
      const spec = (name: string): object => {
        const port = { name: "http", containerPort: 80, ...(why === "fence" ? {} : { hostPort: 8080 }) };
        return { replicas: 3, fence: why === "fence", containers: [{ name: "main", image: name, ports: [port] }] };
      };
      const told = (): string[] => cluster.pods().map(({ name, desired }) => `${name} ${desired}`);
      cluster.apply(workloadManifest("web", spec("app:1")));
      cluster.converge();
      cluster.apply(workloadManifest("web", spec("app:2")));
      const changed = (): PodRecord | undefined => cluster.state.pods.get("default/web-4");
      while (changed()?.state !== "ready") cluster.obey();
      expect(told()).toContain("web-2 stop");
      cluster.silent.add(changed()?.node ?? "");
      cluster.pass(5000);
      cluster.obey();
      cluster.obey();
      expect(told()).toEqual(["web-3 run", "web-4 run", "web-5 run"]);
      cluster.pass(40_000);
      expect(told()).toEqual(["web-3 run", "web-4 stop", "web-5 run", "web-6 run"]);
      cluster.converge();
      expect(readyOf(cluster, "app:2")).toBe(3);
    },
  );
});
