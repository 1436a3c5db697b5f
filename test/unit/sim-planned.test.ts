// What the simulation says of pods that leaders stop though they serve, and of a cluster that does not come to rest.
import { beforeEach, describe, expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { Planned } from "../simulation/planned.ts";
import { isMove, unexplained } from "../simulation/rest.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const base = { namespace: "default", message: "" };
const stopping = (name: string, reason: string): EventItem => ({
  ...base,
  kind: "pod",
  verb: "stopping",
  name,
  reason,
  drain: false,
});

describe("a planned stop", () => {
  let now: number;
  let cluster: TestCluster;
  let planned: Planned;
  let said: string[];
  const judge = (...items: EventItem[]): string[] => {
    planned.onEvent(cluster.state, cluster.envelope("plan", items), 9);
    return said
      .splice(0)
      .map((line) => line.replace(/:.*$/, "").concat(line.slice(line.indexOf(":"), line.indexOf(": web"))));
  };
  /** A number that was asked for, and that no plan followed yet. */
  const ask = (replicas: number): void => {
    const web = cluster.state.workloads.get("default/web")!;
    web.spec = { ...web.spec, replicas };
  };
  const unready = (pod: string): void => {
    cluster.report(pod, "running", { reason: "NOT_READY", message: "Port http does not answer." });
  };

  beforeEach(() => {
    now = 0;
    said = [];
    cluster = new TestCluster({ n1: {}, n2: {} });
    planned = new Planned(
      () => now,
      (invariant, message) => said.push(`${invariant} ${message}`),
    );
  });

  it("leaves a slot to one that serves", () => {
    cluster.apply(workloadManifest("web", { replicas: 2 }));
    cluster.converge();
    expect(judge(stopping("web-1", "TEMPLATE_CHANGED"))).toEqual([
      "7 event 9: default/web-1 stops (TEMPLATE_CHANGED) and nothing serves in its slot",
    ]);
    expect(judge(stopping("web-1", "NODE_DRAINED"))).toHaveLength(1);
    // Whoever deletes the workload wants no pod of it.
    expect(judge(stopping("web-1", "DELETED"))).toEqual([]);
    unready("default/web-1");
    expect(judge(stopping("web-1", "TEMPLATE_CHANGED"))).toEqual([]);
  });

  it("takes, for a smaller number, first what does not serve", () => {
    cluster.apply(workloadManifest("web", { replicas: 2 }));
    cluster.converge();
    ask(1);
    expect(judge(stopping("web-1", "SCALED_DOWN"))).toEqual([]);
    ask(2);
    unready("default/web-2");
    ask(1);
    expect(judge(stopping("web-1", "SCALED_DOWN"))).toEqual([
      "7 event 9: default/web-1 stops (SCALED_DOWN) while a slot stays that does not serve",
    ]);
    ask(0);
    expect(judge(stopping("web-1", "SCALED_DOWN"), stopping("web-2", "SCALED_DOWN"))).toEqual([]);
  });

  it("takes, for a smaller number, no more slots than that", () => {
    cluster.apply(workloadManifest("web", { replicas: 3 }));
    cluster.converge();
    ask(2);
    expect(judge(stopping("web-1", "SCALED_DOWN"))).toEqual([]);
    expect(judge(stopping("web-1", "SCALED_DOWN"), stopping("web-2", "SCALED_DOWN"))).toEqual([
      "6 event 9: a smaller number leaves 1 slots",
    ]);
  });

  it("of a fenced pod, which goes before its successor, waits for the others", () => {
    cluster.apply(workloadManifest("web", { replicas: 2, fence: true }));
    cluster.converge();
    expect(judge(stopping("web-1", "NODE_DRAINED"))).toEqual([]);
    unready("default/web-2");
    expect(judge(stopping("web-1", "NODE_DRAINED"))).toEqual([
      "7 event 9: default/web-1 stops (NODE_DRAINED) while slot 1 does not serve",
    ]);
  });

  it("is not followed by new pods without end", () => {
    cluster.apply(workloadManifest("web", { replicas: 1 }));
    const made = (number: number): EventItem => ({
      ...base,
      kind: "pod",
      verb: "pending",
      name: `web-${number}`,
      workload: "web",
      slot: 0,
      template: 1,
      reason: "NO_NODE",
    });
    for (let number = 2; number <= 152; number += 1)
      planned.onEvent(cluster.state, cluster.envelope("plan", [made(number)]), 9);
    expect(said).toEqual(["4 event 9: 151 pods of default/web were made within a minute"]);
    now = 61_000;
    planned.onEvent(cluster.state, cluster.envelope("plan", [made(153)]), 9);
    expect(said).toHaveLength(1);
    // One in place of another that went with its node is no growth.
    const lost: EventItem = { ...base, kind: "pod", verb: "lost", name: "web-1", reason: "NODE_UNHEARD" };
    const removed: EventItem = { ...base, kind: "pod", verb: "removed", name: "web-1", reason: "NODE_REMOVED" };
    for (let number = 154; number <= 600; number += 1)
      planned.onEvent(cluster.state, cluster.envelope("plan", [number % 2 === 0 ? lost : removed, made(number)]), 9);
    expect(said).toHaveLength(1);
  });
});

describe("a pod whose workload waits for its node", () => {
  const unheard: EventItem = { kind: "node", verb: "unknown", name: "n1", reason: "NODE_UNHEARD", message: "" };
  const lost: EventItem = { ...base, kind: "pod", verb: "lost", name: "web-1", reason: "NODE_UNHEARD" };
  const made: EventItem = {
    ...base,
    kind: "pod",
    verb: "assigned",
    name: "web-9",
    workload: "web",
    slot: 0,
    template: 1,
    node: "n2",
  };
  let cluster: TestCluster;
  const judge = (...items: EventItem[]): string[] => {
    const said: string[] = [];
    new Planned(
      () => 0,
      (invariant, message) => said.push(`${invariant} ${message}`),
    ).onEvent(cluster.state, cluster.envelope("plan", items), 9);
    return said;
  };
  const fall = (onNodeLost: "hold" | "replace"): void => {
    cluster = new TestCluster({ n1: {} });
    cluster.apply(workloadManifest("web", { replicas: 1, onNodeLost }));
    cluster.converge();
    cluster.join("n2");
    cluster.record(cluster.envelope("plan", [unheard]));
  };

  it("is neither given up nor joined by another", () => {
    fall("hold");
    expect(judge(lost)).toEqual(["hold event 9: default/web-1 is given up, though it waits for n1"]);
    expect(judge(made)).toEqual(["hold event 9: default/web-9 is made beside default/web-1, which waits for n1"]);
    expect(judge({ ...made, slot: 1 })).toEqual([]);
  });

  it("is so no longer when its node is heard again, its workload is deleted, or it has ended", () => {
    fall("hold");
    expect(judge({ kind: "node", verb: "ready", name: "n1" }, made)).toEqual([]);
    const pod = cluster.state.pods.get("default/web-1")!;
    pod.ended = true;
    expect(judge(lost)).toEqual([]);
    pod.ended = false;
    cluster.state.workloads.get("default/web")!.deleting = true;
    expect(judge(lost)).toEqual([]);
    fall("replace");
    expect(judge(lost)).toEqual([]);
    expect(judge(made)).toEqual([]);
  });
});

describe("a cluster at rest", () => {
  it("has all pods that it was asked for, or says why not", () => {
    const cluster = new TestCluster({ n1: {} });
    cluster.apply(workloadManifest("web", { replicas: 2 }));
    cluster.converge();
    expect(unexplained(cluster.state)).toEqual([]);
    const { pods, nodes, workloads } = cluster.state;
    const web = workloads.get("default/web")!;
    const pod = pods.get("default/web-1")!;
    pod.state = "running";
    expect(unexplained(cluster.state)).toEqual([expect.stringMatching(/^one does not say why: web, 2 replicas, /)]);
    pod.reason = "NOT_READY";
    expect(unexplained(cluster.state)).toEqual([]);
    pod.desired = "stop";
    expect(unexplained(cluster.state)).toEqual([
      expect.stringMatching(/^1 slots: web/),
      expect.stringMatching(/^one is left over: web/),
    ]);
    Object.assign(pod, { desired: "run", state: "ready", reason: "" });
    web.template = { ...web.template, generation: web.template.generation + 1 };
    expect(unexplained(cluster.state)).toEqual([expect.stringMatching(/^its change stands still: web/)]);
    web.halted = { reason: "EXITED", message: "It ended.", from: null };
    expect(unexplained(cluster.state)).toEqual([]);
    // The halted change left one slot nothing but its own pod.
    const other = pods.get("default/web-2")!;
    const known = { ...other };
    Object.assign(other, { template: web.template.generation, state: "failed", reason: "EXITED", wasReady: false });
    expect(unexplained(cluster.state)).toEqual([expect.stringMatching(/^a slot has nothing that works: web/)]);
    web.templates.set(web.template.generation, { ...web.template, hostPorts: [8080] });
    expect(unexplained(cluster.state)).toEqual([]);
    Object.assign(other, known);
    const { template } = pod;
    for (const one of [pod, other]) Object.assign(one, { template: web.template.generation });
    expect(unexplained(cluster.state)).toEqual([expect.stringMatching(/^it is halted, and nothing is left to be ch/)]);
    for (const one of [pod, other]) Object.assign(one, { template });
    const node = nodes.get("n1")!;
    node.mode = "draining";
    expect(unexplained(cluster.state)).toEqual([
      expect.stringMatching(/^node n1 is drained and says nothing: web-1 in 0 /),
    ]);
    node.modeMessage = "Pod web-1 cannot move.";
    expect(unexplained(cluster.state)).toEqual([]);
  });

  it("makes and stops no pod, though programs come and go", () => {
    const cluster = new TestCluster({ n1: {} });
    cluster.apply(workloadManifest("web"));
    cluster.converge();
    expect(isMove(cluster.state, stopping("web-1", "SCALED_DOWN"))).toBe(true);
    expect(
      isMove(cluster.state, {
        kind: "node",
        verb: "unknown",
        name: "n1",
        ...base,
        reason: "NODE_UNHEARD",
      }),
    ).toBe(true);
    const ready = { ...base, kind: "pod", verb: "ready", name: "web-1" } as unknown as EventItem;
    expect(isMove(cluster.state, ready)).toBe(false);
  });
});
