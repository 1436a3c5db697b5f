// What the simulation's observer says of a pod that is ended while the log says it should run.
import { beforeEach, describe, expect, it } from "vitest";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { Observer } from "../simulation/observer.ts";
import { Troubles } from "../simulation/troubles.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const encoder = new TextEncoder();

describe("a log that lost the order to stop a pod", () => {
  let cluster: TestCluster;
  let observer: Observer;
  let kept: number;
  let pod: { namespace: string; name: string; desired: string };
  let container: ContainerInfo;
  let epoch: number;
  let now: number;

  const feed = (from: number, to = Infinity): void => {
    for (const { sequence, event } of cluster.log) {
      if (sequence > from && sequence <= to)
        observer.onRecord({ sequence, data: encoder.encode(JSON.stringify(event)) });
    }
  };
  const tells = (epoch: number, generation: number, desired: string): void => {
    observer.onAssignment("n1", { logId: "log1", epoch, generation, items: [{ ...pod, desired, containers: [{}] }] });
  };
  const blamed = (): string[] => {
    now += 1000;
    observer.onEnd("n1", container, 1);
    return observer.violations.map(({ message }) => message);
  };

  beforeEach(() => {
    now = 0;
    cluster = new TestCluster({ n1: {} });
    observer = new Observer(
      () => now,
      new Troubles(() => now),
      () => [],
    );
    cluster.apply(workloadManifest("web", { replicas: 1 }));
    cluster.converge();
    ({ sequence: kept, epoch } = cluster.state);
    pod = { ...cluster.pods()[0]!, desired: "run" };
    container = { id: "1", pod: `default/${pod.name}`, name: "main", state: "running", oomKilled: false, ports: [] };
    cluster.apply(workloadManifest("web", { replicas: 0 }));
    expect(cluster.pods()[0]?.desired).toBe("stop");
    feed(0);
    observer.forget(kept);
    feed(0, kept);
    expect(observer.violations).toEqual([]);
  });

  it("does not blame the node that holds the order", () => {
    tells(epoch, kept + 2, "stop");
    expect(blamed()).toEqual([]);
  });

  const blame = () => `node n1 ends ${container.pod}, which should run there`;

  it("does not blame one that has not heard of the log restored since", () => {
    observer.forget(0);
    feed(0, kept);
    tells(epoch, kept + 2, "stop");
    const { clusterUid: name, logId: parent, lastEventId: prev, time } = observer.state;
    const items = [
      { kind: "cluster", verb: "restored", name, parent, sequence: kept, message: "" },
      { kind: "leader", verb: "elected", name: "restore" },
    ];
    const event = { schema: 1, logId: "log2", epoch: kept + 1, id: "r", prev, time, cause: "restore", items };
    observer.onRecord({ sequence: kept + 1, data: encoder.encode(JSON.stringify(event)) });
    expect(observer.state.logId).toBe("log2");
    expect(blamed()).toEqual([]);
    // Nor one that follows it, and was not told yet that it gave the name again.
    const { assignment } = observer.state.pods.get(container.pod)!;
    observer.onAssignment("n1", { logId: "log2", epoch: kept + 1, generation: assignment - 1, items: [] });
    expect(blamed()).toEqual([]);
    observer.onAssignment("n1", { logId: "log2", epoch: kept + 1, generation: kept + 1, items: [] });
    tells(epoch, kept + 2, "stop");
    expect(blamed()).toEqual([blame()]);
  });

  it("blames one whose order lets the pod run, unless the container is of another that had its name", () => {
    tells(epoch, kept + 2, "run");
    observer.onEnd("n1", { ...container, templateId: "lost" }, 1);
    expect(observer.violations).toEqual([]);
    expect(blamed()).toEqual([blame()]);
  });

  it("does not blame one that starts a pod anew of which not all containers run", () => {
    tells(epoch, kept + 2, "run");
    observer.onEnd("n1", container, 0);
    expect(observer.violations).toEqual([]);
    expect(blamed()).toEqual([blame()]);
  });

  it("does not blame one that has not been told yet of a pod that was given the name of a lost one", () => {
    const { assignment } = observer.state.pods.get(container.pod)!;
    observer.onAssignment("n1", { logId: "log1", epoch, generation: assignment - 1, items: [] });
    expect(blamed()).toEqual([]);
    observer.onAssignment("n1", { logId: "log1", epoch, generation: assignment, items: [] });
    expect(blamed()).toEqual([blame()]);
  });

  it("does not blame one that is told of it while the pod that the log lost is being ended", () => {
    const { assignment } = observer.state.pods.get(container.pod)!;
    observer.onAssignment("n1", { logId: "log1", epoch, generation: assignment - 1, items: [] });
    observer.onAssignment("n1", { logId: "log1", epoch, generation: assignment, items: [] });
    now += 5;
    observer.onEnd("n1", container, 1);
    expect(observer.violations).toEqual([]);
    expect(blamed()).toEqual([blame()]);
  });

  it("does not blame one that lost what it knew and heard an older leader than it had followed", () => {
    tells(epoch, kept, "run");
    observer.orders.onWipe("n1");
    tells(epoch - 1, kept - 1, "stop");
    expect(blamed()).toEqual([]);
    // After a loss leaders are numbered anew: an older number says nothing.
    observer.orders.onWipe("n1");
    observer.orders.forget();
    tells(epoch - 1, kept, "stop");
    expect(blamed()).toEqual([blame()]);
    observer.violations.length = 0;
    tells(epoch, kept, "run");
    expect(blamed()).toEqual([blame()]);
  });

  it("blames one whose order is of the log that is left", () => {
    tells(epoch, kept, "stop");
    expect(blamed()).toEqual([blame()]);
  });

  it("blames one that was told by a leader elected since", () => {
    tells(epoch, kept + 2, "stop");
    tells(kept + 1, kept + 2, "stop");
    expect(blamed()).toEqual([blame()]);
  });
});

describe("a controller whose plans its own checker refuses", () => {
  it("is blamed once, and none is where nothing was refused", () => {
    const observer = new Observer(
      () => 7000,
      new Troubles(() => 7000),
      () => [],
    );
    observer.onRefused(0);
    expect(observer.violations).toEqual([]);
    observer.onRefused(3);
    observer.onRefused(36);
    expect(observer.violations).toEqual([
      { at: 7000, invariant: "plan", message: expect.stringContaining("PLAN_REFUSED") },
    ]);
  });
});

describe("what a proxy has of the endpoints", () => {
  it("is what the bucket holds, within eight seconds, but where a leader reads late what somebody made of it", () => {
    let now = 100_000;
    const troubles = new Troubles(() => now);
    const observer = new Observer(
      () => now,
      troubles,
      () => [],
    );
    const seen = (): string[] => {
      observer.tables.onTable("p1", { parts: [["default.web.0", 4, {}]] });
      return observer.violations.splice(0).map(({ message }) => message);
    };
    observer.tables.onEndpoints(new Map([["default.web.0", 5]]));
    now += 7000;
    expect(seen()).toEqual([]);
    now += 1000;
    expect(seen()).toEqual(["proxy p1 has 4 for default.web.0, the bucket 5"]);
    const over = troubles.begin("c2", "lagging");
    now += 1000;
    expect(seen()).toEqual([]);
    over();
    now += 16_000;
    expect(seen()).toHaveLength(1);
    observer.tables.onRefused("default.web.0", 5);
    expect(seen()).toEqual([]);
    observer.tables.onEndpoints(new Map([["default.web.0", 6]]));
    now += 8000;
    expect(seen()).toEqual(["proxy p1 has 4 for default.web.0, the bucket 6"]);
    observer.tables.onEndpoints(new Map([["default.web.0", -7]]));
    now += 8000;
    expect(seen()).toEqual(["proxy p1 has 4 for default.web.0, the bucket nothing"]);
    // Written and removed once more since the last look.
    observer.tables.onEndpoints(new Map([["default.web.0", -9]]));
    now += 1000;
    expect(seen()).toEqual([]);
  });
});

describe("a task that ended for good", () => {
  it("is not started again, unless one of two agents under one id told of its end", () => {
    const seen = (isDoubled: boolean): string[] => {
      const cluster = new TestCluster({ n1: {} });
      let now = 0;
      const troubles = new Troubles(() => now);
      if (isDoubled) troubles.begin("n1", "doubled");
      now = 1000;
      const observer = new Observer(
        () => now,
        troubles,
        () => [],
      );
      cluster.apply(workloadManifest("web", { replicas: 1, restartPolicy: "Never" }));
      cluster.report("default/web-1", "failed", { reason: "EXITED" });
      for (const { sequence, event } of cluster.log)
        observer.onRecord({ sequence, data: encoder.encode(JSON.stringify(event)) });
      const container = { id: "1", pod: "default/web-1", name: "main", state: "running", oomKilled: false } as const;
      observer.onStart("n1", { ...container, ports: [] });
      return observer.violations.map(({ message }) => message);
    };
    expect(seen(false)).toEqual(["node n1 starts default/web-1, which had stopped for good"]);
    expect(seen(true)).toEqual([]);
  });
});
