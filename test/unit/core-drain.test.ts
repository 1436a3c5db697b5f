import { beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { shardOf } from "../../services/core/endpoints.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";
import { image, running } from "../support/rollout.ts";

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

describe("a pod that leaves its endpoints", () => {
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

  it("waits for a proxy that has not read its old shard while another number of shards puts it into one that was read", () => {
    const cluster = new TestCluster({ n1: { capacity: { cpuMillis: 1, memoryBytes: 1, pods: 1000 } } });
    const scale = (replicas: number): void => {
      cluster.write("api", admitScale(cluster.state, "default", "web", replicas).items);
      cluster.settle();
    };
    cluster.apply(workloadManifest("web", { replicas: 240, ...image("app:1") }), serviceManifest("web"));
    cluster.converge();
    cluster.proxies = proxy(0);
    scale(210);
    const leaving = cluster
      .pods()
      .find((pod) => pod.desired === "drain" && shardOf(pod.key, 2) + shardOf(pod.key, 3) === 1);
    const { key = "", leftAt = 0 } = leaving ?? {};
    const read = (old: number, other: number, head: number): void => {
      const [one] = proxy(0);
      const parts = new Map([
        [String(shardOf(key, 2)), old],
        [String(1 - shardOf(key, 2)), other],
        ["head", head],
      ]);
      if (one !== undefined) cluster.proxies = [{ ...one, applied: new Map([["default/web", parts]]) }];
      cluster.pass(1000);
    };
    const head = cluster.state.services.get("default/web")?.headSeq ?? 0;
    read(leftAt - 1, leftAt, head);
    scale(401);
    const { headSeq = 0, shardCount } = cluster.state.services.get("default/web") ?? {};
    expect([shardCount, headSeq > leftAt]).toEqual([3, true]);
    read(leftAt - 1, leftAt, head);
    expect(cluster.state.pods.get(key)?.desired).toBe("drain");
    read(leftAt - 1, headSeq, head);
    expect(cluster.state.pods.get(key)?.desired).toBe("drain");
    read(leftAt - 1, headSeq, headSeq);
    expect(cluster.state.pods.get(key)).toMatchObject({ desired: "stop", reason: "DRAINED" });
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

    it("waits for a proxy whose server lost its power until it had the time to go to another", () => {
      const silent = (heardAgoMs: number) => first().map((one) => ({ ...one, heardAgoMs }));
      cluster.proxies = silent(7900);
      cluster.settle();
      expect(is()).toMatchObject({ desired: "drain" });
      // The leader of before was on the same machine.
      cluster.elect("c2");
      Object.assign(cluster, { silentMs: 2500, termAgeMs: 5400, logReplicated: true, proxies: [] });
      cluster.settle();
      expect(is()).toMatchObject({ desired: "drain" });
      cluster.termAgeMs = 5500;
      cluster.settle();
      expect(is()).toMatchObject({ desired: "stop" });
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

  it("does not keep pods of a deleted workload for endpoints that cannot be written", () => {
    const cluster = running();
    cluster.proxies = proxy(0);
    cluster.writtenAgoMs.set("default/web", 0);
    cluster.write("operation-2", [{ kind: "workload", verb: "deleted", namespace: "default", name: "web" }]);
    cluster.settle();
    cluster.pass(9000);
    expect(cluster.pods().map(({ desired }) => desired)).toEqual(["drain", "drain", "drain"]);
    cluster.pass(1000);
    expect(cluster.pods().filter(({ desired }) => desired === "drain")).toEqual([]);
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

  it("counts the time of connections from when the pod left, where its event came late into the log", () => {
    const cluster = running();
    cluster.proxies = proxy(0);
    cluster.apply(workloadManifest("web", { ...image("app:1"), replicas: 2 }));
    const { key = "", leftAt = 0 } = cluster.pods().find(({ desired }) => desired === "drain") ?? {};
    cluster.proxies = proxy(cluster.state.sequence, new Map([[key, 1]]));
    cluster.lateAgoMs.set(leftAt, 9000);
    cluster.pass(60_000);
    expect(cluster.state.pods.get(key)?.desired).toBe("drain");
    cluster.lateAgoMs.set(leftAt, 10_000);
    cluster.settle();
    expect(cluster.state.pods.get(key)).toMatchObject({ desired: "stop", reason: "DRAINED" });
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
});
