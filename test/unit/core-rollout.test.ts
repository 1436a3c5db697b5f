import { beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import { admitDelete } from "../../services/core/admit/change.ts";
import type { PodRecord } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { projection } from "../../services/core/project.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

const image = (name: string): object => ({
  containers: [{ name: "main", image: name, ports: [{ name: "http", containerPort: 80 }] }],
});
const imageOf = (cluster: TestCluster, pod: PodRecord): string =>
  cluster.state.workloads.get(pod.workload)?.templates.get(pod.template)?.spec.containers[0]?.image ?? "";
const readyCount = (cluster: TestCluster): number =>
  cluster.pods().filter((pod) => pod.state === "ready" && pod.desired === "run").length;

function running(): TestCluster {
  const cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
  cluster.apply(workloadManifest("web", { replicas: 3, ...image("app:1") }), serviceManifest("web"));
  cluster.converge();
  return cluster;
}

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

/** One proxy that serves the service and has applied everything up to `sequence`. */
const proxy = (sequence: number, open: Map<string, number> = new Map()): TestCluster["proxies"] => [
  {
    id: "p1",
    heardAgoMs: 100,
    reachableMs: 60_000,
    whole: true,
    applied: new Map([["default/web", new Map([["0", sequence]])]]),
    open,
  },
];

describe("a workload that its service left for another", () => {
  /** Blue serves, with five connections through a proxy that has applied all. */
  function served(): TestCluster {
    const cluster = new TestCluster({ n1: {}, n2: {} });
    for (const name of ["blue", "green"]) cluster.apply(workloadManifest(name, image("app:1")));
    cluster.apply(serviceManifest("web", "blue"));
    cluster.converge();
    cluster.proxies = applied(cluster.state.sequence, 5);
    return cluster;
  }
  const applied = (sequence: number, open: number): TestCluster["proxies"] =>
    proxy(sequence, new Map([[blue, open]])).map((one) => ({
      ...one,
      applied: new Map([
        [
          "default/web",
          new Map([
            ["head", sequence],
            ["0", sequence],
          ]),
        ],
      ]),
    }));
  const blue = "default/blue-1";
  const leave: Record<string, (cluster: TestCluster) => void> = {
    "for another": (cluster) => cluster.apply(serviceManifest("web", "green")),
    "because it was deleted": (cluster) =>
      cluster.write("api", admitDelete(cluster.state, "service", "default", "web").items),
  };
  for (const [why, left] of Object.entries(leave)) {
    it(`${why} keeps its pods until proxies have read that and connections are over`, () => {
      const cluster = served();
      left(cluster);
      const change = cluster.state.sequence;
      cluster.write("api", admitDelete(cluster.state, "workload", "default", "blue").items);
      expect(cluster.settle()).toMatchObject([{ verb: "stopping", name: "blue-1", drain: true }]);
      // The proxy has not read the change: it still sends new connections there.
      cluster.proxies = applied(change - 1, 0);
      cluster.pass(2000);
      expect(cluster.state.pods.get(blue)?.desired).toBe("drain");
      cluster.proxies = applied(change, 5);
      cluster.pass(2000);
      expect(cluster.state.pods.get(blue)?.desired).toBe("drain");
      cluster.proxies = applied(change, 0);
      cluster.settle();
      expect(cluster.state.pods.get(blue)).toMatchObject({ desired: "stop", reason: "DRAINED" });
    });
  }

  it("and that no service ever named is stopped at once", () => {
    const cluster = served();
    cluster.write("api", admitDelete(cluster.state, "workload", "default", "green").items);
    expect(cluster.settle()).toMatchObject([{ verb: "stopping", name: "green-2", drain: false }]);
  });

  it("remembers the last services alone, and none that came back", () => {
    const cluster = served();
    const names = Array.from({ length: limits.formerServices + 2 }, (_, index) => `s${index}`);
    for (const name of names) cluster.apply(serviceManifest(name, "blue"));
    for (const name of names) cluster.apply(serviceManifest(name, "green"));
    const former = (): string[] => [...(cluster.state.workloads.get("default/blue")?.formerServices.keys() ?? [])];
    expect(former()).toEqual(names.slice(2).map((name) => `default/${name}`));
    cluster.apply(serviceManifest("s5", "blue"));
    expect(former()).toEqual(names.slice(2).flatMap((name) => (name === "s5" ? [] : [`default/${name}`])));
  });
});

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

  it("waits for the proxies to let go before a pod is told to stop", () => {
    const cluster = running();
    cluster.proxies = proxy(0);
    cluster.apply(workloadManifest("web", image("app:2")));
    cluster.report("default/web-4", "ready");
    const old = cluster.pods().find((pod) => pod.desired === "drain");
    expect(old).toBeDefined();
    cluster.pass(3000);
    expect(cluster.state.pods.get(old?.key ?? "")?.desired).toBe("drain");
    cluster.proxies = proxy(old?.leftAt ?? 0, new Map([[old?.key ?? "", 2]]));
    cluster.pass(3000);
    expect(cluster.state.pods.get(old?.key ?? "")?.desired).toBe("drain");
    cluster.proxies = proxy(old?.leftAt ?? 0);
    cluster.settle();
    expect(cluster.state.pods.get(old?.key ?? "")).toMatchObject({ desired: "stop", reason: "DRAINED" });
  });

  it("takes a proxy to hold every pod that has applied what the log does not have", () => {
    const cluster = running();
    cluster.proxies = proxy(cluster.state.sequence + 100);
    cluster.apply(workloadManifest("web", image("app:2")));
    cluster.report("default/web-4", "ready");
    const old = cluster.pods().find((pod) => pod.desired === "drain")?.key ?? "";
    cluster.pass(5000);
    expect(cluster.state.pods.get(old)?.desired).toBe("drain");
    cluster.proxies = proxy(cluster.state.sequence);
    cluster.settle();
    expect(cluster.state.pods.get(old)).toMatchObject({ desired: "stop", reason: "DRAINED" });
  });

  it("takes a proxy it has not heard whole to hold every pod", () => {
    const cluster = running();
    cluster.proxies = [
      { id: "p1", heardAgoMs: 100, reachableMs: 60_000, whole: false, applied: new Map(), open: new Map() },
    ];
    cluster.apply(workloadManifest("web", image("app:2")));
    cluster.report("default/web-4", "ready");
    const old = cluster.pods().find((pod) => pod.desired === "drain")?.key ?? "";
    cluster.pass(5000);
    expect(cluster.state.pods.get(old)?.desired).toBe("drain");
    // Whole now, and it does not serve the service.
    cluster.proxies = [
      { id: "p1", heardAgoMs: 100, reachableMs: 60_000, whole: true, applied: new Map(), open: new Map() },
    ];
    cluster.settle();
    expect(cluster.state.pods.get(old)).toMatchObject({ desired: "stop", reason: "DRAINED" });
  });

  describe("with five connections to a pod that leaves, and two minutes for them", () => {
    const spec = { ...image("app:1"), drainTimeout: "120s" };
    let cluster: TestCluster;
    let leaving: string;
    const first = (): TestCluster["proxies"] => proxy(cluster.state.sequence, new Map([[leaving, 5]]));
    const is = (): object | undefined => cluster.state.pods.get(leaving);

    beforeEach(() => {
      cluster = running();
      cluster.proxies = proxy(0);
      cluster.apply(workloadManifest("web", { ...spec, replicas: 2 }));
      leaving = cluster.pods().find(({ desired }) => desired === "drain")?.key ?? "";
      cluster.proxies = first();
      cluster.pass(15_000);
      expect(is()).toMatchObject({ desired: "drain" });
    });

    it("waits for the proxies that a new leader has not heard yet", () => {
      cluster.elect("c2");
      cluster.silentMs = 15_000;
      cluster.termAgeMs = 100;
      cluster.proxies = [];
      cluster.settle();
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.termAgeMs = 2500;
      cluster.proxies = first();
      cluster.pass(100_000);
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.pass(10_000);
      expect(is()).toMatchObject({ desired: "stop", message: expect.stringContaining("5 open connections are cut") });
    });

    it("lets a proxy that has just begun read before it counts", () => {
      const second = (reachableMs: number) => ({ ...proxy(0)[0]!, id: "p2", reachableMs });
      cluster.proxies = [...proxy(cluster.state.sequence), second(0)];
      cluster.settle();
      cluster.proxies = [...proxy(cluster.state.sequence), second(9999)];
      cluster.settle();
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.proxies = [...proxy(cluster.state.sequence), second(10_000)];
      cluster.settle();
      expect(is()).toMatchObject({ desired: "stop", reason: "PROXY_NOT_ACKED" });
    });

    it("waits for proxies that begin again and again no longer than connections may take", () => {
      cluster.proxies = [...first(), { ...proxy(0)[0]!, id: "p2", reachableMs: 0 }];
      cluster.pass(114_000);
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.pass(1000);
      expect(is()).toMatchObject({ desired: "stop", reason: "PROXY_NOT_ACKED" });
    });
  });

  describe("with one proxy that does not let go", () => {
    let cluster: TestCluster;
    let leaving: string;
    const is = (): object | undefined => cluster.state.pods.get(leaving);
    const serve = (connections: number): void => {
      const good = proxy(cluster.state.sequence, new Map([[leaving, connections]]));
      cluster.proxies = [{ ...proxy(0)[0]!, id: "stuck" }, ...good];
    };

    beforeEach(() => {
      cluster = running();
      cluster.proxies = proxy(0);
      cluster.apply(workloadManifest("web", { ...image("app:1"), drainTimeout: "120s", replicas: 2 }));
      leaving = cluster.pods().find(({ desired }) => desired === "drain")?.key ?? "";
    });

    it("leaves the connections of the others their time", () => {
      serve(5);
      cluster.pass(100_000);
      expect(is()).toMatchObject({ desired: "drain" });
      serve(0);
      cluster.settle();
      expect(is()).toMatchObject({ desired: "stop", reason: "PROXY_NOT_ACKED" });
    });

    it("cuts them when the drain timeout is over", () => {
      serve(5);
      cluster.pass(119_000);
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.pass(1000);
      expect(is()).toMatchObject({ desired: "stop", reason: "PROXY_NOT_ACKED" });
    });

    it("blames no proxy for what it could not read: its time begins when that is written", () => {
      serve(0);
      cluster.writtenAgoMs.set("default/web", 0);
      cluster.pass(600_000);
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.writtenAgoMs.set("default/web", 9999);
      cluster.settle();
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.writtenAgoMs.clear();
      cluster.settle();
      expect(is()).toMatchObject({ desired: "stop", reason: "PROXY_NOT_ACKED" });
    });
  });

  it("blames no proxy for a service that let go of the pod and could not be written", () => {
    const cluster = running();
    cluster.proxies = proxy(cluster.state.sequence);
    cluster.apply(workloadManifest("other", image("app:1")), serviceManifest("web", "other"));
    cluster.writtenAgoMs.set("default/web", 0);
    cluster.apply(workloadManifest("web", { ...image("app:1"), replicas: 0 }));
    cluster.pass(60_000);
    expect(cluster.pods().filter(({ desired }) => desired === "drain")).toHaveLength(3);
    cluster.proxies = proxy(cluster.state.sequence);
    cluster.settle();
    expect(cluster.pods().filter(({ desired }) => desired === "drain")).toEqual([]);
  });

  it("waits for no proxy about a pod that had left the endpoints before, since nothing tells of it any more", () => {
    const cluster = running();
    cluster.report("default/web-1", "backoff", { restarts: 3, reason: "EXITED" });
    const { sequence } = cluster.state;
    cluster.apply(workloadManifest("other", image("app:1")));
    cluster.proxies = proxy(sequence);
    cluster.apply(workloadManifest("web", { ...image("app:1"), replicas: 2 }));
    expect(cluster.state.pods.get("default/web-1")).toMatchObject({ desired: "stop", reason: "DRAINED" });
  });

  it("does not wait for a mute proxy for ever, and says so", () => {
    const cluster = running();
    cluster.proxies = proxy(0);
    cluster.apply(workloadManifest("web", image("app:2")));
    cluster.report("default/web-4", "ready");
    cluster.pass(10_000);
    const old = cluster.pods().find((pod) => pod.reason === "PROXY_NOT_ACKED");
    expect(old).toMatchObject({ desired: "stop" });
  });

  it("gives up on open connections after the drain timeout", () => {
    const cluster = running();
    cluster.apply(workloadManifest("web", { ...image("app:2"), drainTimeout: "4s" }));
    cluster.proxies = proxy(0);
    cluster.report("default/web-4", "ready");
    cluster.proxies = proxy(cluster.state.sequence, new Map([["default/web-1", 1]]));
    cluster.pass(3000);
    expect(cluster.state.pods.get("default/web-1")?.desired).toBe("drain");
    cluster.pass(1500);
    expect(cluster.state.pods.get("default/web-1")?.desired).toBe("stop");
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
});
