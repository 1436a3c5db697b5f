// What the simulation says of proxies that connect to a pod too early, and of pods that stop too early under what they carry.
import { beforeEach, describe, expect, it } from "vitest";
import { Serving } from "../simulation/serving.ts";
import { Troubles } from "../simulation/troubles.ts";
import type { Carried } from "../simulation/world/network.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

describe("a pod of a service", () => {
  let now: number;
  let cluster: TestCluster;
  let serving: Serving;
  let troubles: Troubles;
  let said: string[];
  let carried: Carried[];

  beforeEach(() => {
    now = 100_000;
    cluster = new TestCluster({ n1: {} });
    troubles = new Troubles(() => now);
    said = [];
    carried = [];
    serving = new Serving(
      () => now,
      troubles,
      (message) => said.push(message),
    );
    serving.carriedTo = () => carried;
    cluster.apply(workloadManifest("web", { replicas: 1, drainTimeout: "10s" }), serviceManifest("web"));
  });

  it("is connected to only once it was ready", () => {
    cluster.settle();
    const pod = cluster.pods()[0]!.key;
    serving.onAttempt(cluster.state, { proxy: "p1", port: 20_000, pod });
    expect(said).toEqual([`proxy p1 connects to ${pod}, which is assigned and never was ready`]);
    cluster.converge();
    serving.onAttempt(cluster.state, { proxy: "p1", port: 20_000, pod });
    serving.onAttempt(cluster.state, { proxy: "p1", port: 20_000, pod: undefined });
    expect(said).toHaveLength(1);
  });

  it("is not stopped at once, though its service left it", () => {
    cluster.converge();
    const { key, namespace, name } = cluster.pods()[0]!;
    const applied = { kind: "service", verb: "applied", namespace, name: "web", labels: {} } as const;
    const ports = [{ port: 8080, targetPort: "http" }];
    const stopping = { kind: "pod", verb: "stopping", namespace, name, reason: "DELETED", message: "" } as const;
    serving.onPod(cluster.state, { ...stopping, drain: false }, key, 5);
    expect(said).toEqual([]);
    serving.onService(cluster.state, { ...applied, spec: { selector: { workload: "web" }, ports } });
    serving.onService(cluster.state, { ...applied, spec: { selector: { workload: "other" }, ports } });
    serving.onPod(cluster.state, { ...stopping, drain: true }, key, 6);
    expect(said).toEqual([]);
    serving.onPod(cluster.state, { ...stopping, drain: false }, key, 7);
    expect(said).toEqual([`event 7: ${key}, which a service named, is stopped at once`]);
  });

  describe("that drains", () => {
    let key: string;
    const stopping = () => {
      const { namespace, name } = cluster.state.pods.get(key)!;
      const why = { reason: "SCALED", message: "" } as const;
      return { kind: "pod", verb: "stopping", namespace, name, drain: true, ...why } as const;
    };
    const drained = (ms: number, reason: "DRAINED" | "PROXY_NOT_ACKED" = "DRAINED"): void => {
      now += ms;
      const { namespace, name } = cluster.state.pods.get(key)!;
      const item = { kind: "pod", verb: "drained", namespace, name, reason, message: "" } as const;
      serving.onPod(cluster.state, item, key, 7);
    };

    beforeEach(() => {
      cluster.converge();
      key = cluster.pods()[0]!.key;
      cluster.apply(workloadManifest("web", { replicas: 0, drainTimeout: "10s" }));
      serving.onPod(cluster.state, stopping(), key, 6);
    });

    it("is blamed for what was open before and still is", () => {
      carried = [{ proxy: "p1", since: now - 1 }];
      drained(8000);
      expect(said).toEqual([`event 7: ${key} is drained after 8000 ms of 10000 while p1 carries 1 requests to it`]);
    });

    it("is blamed for it, too, where another proxy did not confirm", () => {
      carried = [{ proxy: "p1", since: now - 1 }];
      drained(8000, "PROXY_NOT_ACKED");
      expect(said[0]).toMatch(/ while p1 carries 1 requests to it$/);
    });

    it("is blamed where proxies did not confirm with which nothing was wrong", () => {
      drained(10_000, "PROXY_NOT_ACKED");
      expect(said).toEqual([expect.stringContaining(`${key} waited in vain for proxies`)]);
      serving.onPod(cluster.state, stopping(), key, 8);
      troubles.begin("p2", "slow")();
      drained(10_000, "PROXY_NOT_ACKED");
      expect(said).toHaveLength(1);
    });

    it("is blamed also where leaders died or heard nothing meanwhile and where the server stood still, and not where messages were lost", () => {
      carried = [{ proxy: "p1", since: now - 1 }];
      troubles.begin("c1", "kill")();
      troubles.begin("c2", "pause")();
      troubles.begin("c2", "cutDown")();
      troubles.begin("bus", "busFreeze")();
      drained(8000);
      expect(said).toHaveLength(1);
      serving.onPod(cluster.state, stopping(), key, 8);
      carried = [{ proxy: "p1", since: now - 1 }];
      troubles.begin("c2", "lossy")();
      drained(8000);
      expect(said).toHaveLength(1);
    });

    it("is not where nothing is open, or came later, or the timeout is over, or the proxy may not have been heard", () => {
      const again = (since: number): void => {
        serving.onPod(cluster.state, stopping(), key, 8);
        carried = [{ proxy: "p1", since }];
      };
      drained(8000);
      again(now + 1);
      drained(8000);
      again(0);
      drained(9000);
      again(0);
      troubles.begin("p1", "pause")();
      drained(8000);
      expect(said).toEqual([]);
    });
  });
});
