// What the simulation says of containers that are not what the log calls them, and of slots and pods without a word why.
import { beforeEach, describe, expect, it } from "vitest";
import { assignedPod } from "../../services/core/assignment.ts";
import type { PodRecord } from "../../services/core/model.ts";
import { Contents } from "../simulation/contents.ts";
import { Troubles } from "../simulation/troubles.ts";
import type { World } from "../simulation/world/world.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

let now: number;
let troubles: Troubles;
let cluster: TestCluster;
let pod: PodRecord;
/** A running container of the pod, as its engine has it. */
let container: { id: string; state: string; runs: number; spec: { pod: string; container: object } };
let isReady: boolean;
/** The log lost nothing lately. */
let isKept: boolean;
let contents: Contents;

/** What is said then, and was not before. */
function lookAt(at: number): string[] {
  now = at;
  const said: string[] = [];
  const violate = (_invariant: string, message: string) => said.push(message);
  const observer = { state: cluster.state, violate, isKept: () => isKept };
  const agents = [{ name: "n1", engine: { all: () => [container], isReady: () => isReady } }];
  contents.look({ agents, observer, timeline: { now }, troubles } as unknown as World);
  return said;
}

/** What is said after the last millisecond in which nothing is. */
function saidAfter(ms: number): string[] {
  expect(lookAt(0)).toEqual([]);
  expect(lookAt(ms - 1)).toEqual([]);
  return lookAt(ms);
}

beforeEach(() => {
  now = 0;
  troubles = new Troubles(() => now);
  cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("web", { replicas: 1 }));
  cluster.converge();
  pod = cluster.pods()[0]!;
  const [spec] = assignedPod(cluster.state, pod.key)!.containers;
  container = { id: "1", state: "running", runs: 1, spec: { pod: pod.key, container: spec! } };
  isReady = true;
  isKept = true;
  contents = new Contents();
});

it("says nothing where all is as the log has it", () => {
  expect([lookAt(0), lookAt(60_000)]).toEqual([[], []]);
});

describe("a pod that is ready in the log", () => {
  it("may be of another template for a while, and anywhere else", () => {
    container.spec.container = { ...container.spec.container, image: "app:2" };
    expect(saidAfter(15_000)).toEqual([`pod ${pod.key} on n1 is ready, and runs what it is not of`]);
    pod.state = "running";
    expect(lookAt(16_000)).toEqual([]);
    Object.assign(pod, { state: "ready", node: "n2" });
    lookAt(17_000);
    expect(lookAt(40_000)).toEqual([]);
  });

  it("was ready once, unless the node could not tell", () => {
    isReady = false;
    const blame = `pod ${pod.key} on n1 is called ready, and never was`;
    expect(lookAt(0)).toEqual([blame]);
    for (const place of ["n1", "bus", "c1"]) {
      now += 100_000;
      const begun = now;
      troubles.begin(place, "cut")();
      expect(lookAt(begun + 30_000)).toEqual([]);
      expect(lookAt(begun + 30_001)).toEqual([blame]);
    }
    container.runs = 2;
    expect(lookAt(now)).toEqual([]);
    container.runs = 1;
    pod.restarts = 1;
    expect(lookAt(now)).toEqual([]);
  });
});

describe("a container that nobody wants", () => {
  it.each([
    ["of a pod that is to stop", { desired: "stop" }, "stop"],
    ["of a pod given up", { state: "lost", reason: "NODE_UNHEARD" }, "run"],
    ["of a pod of another node", { node: "n2" }, "run"],
  ])("%s runs for half a minute at most", (_what, change, wish) => {
    Object.assign(pod, change);
    expect(saidAfter(30_000)).toContain(`node n1 still runs ${pod.key}, which is ${wish} for long`);
  });

  it("is looked for where nothing was wrong, and does not run when it has ended", () => {
    container.spec.pod = "default/gone-1";
    lookAt(0);
    now = 25_000;
    troubles.begin("n1", "engineHangs")();
    expect(lookAt(55_000)).toEqual([]);
    isKept = false;
    expect(lookAt(55_001)).toEqual([]);
    isKept = true;
    expect(lookAt(55_002)).toEqual(["node n1 still runs default/gone-1, which is gone for long"]);
    container.state = "exited";
    expect(lookAt(56_000)).toEqual([]);
  });
});

describe("a workload", () => {
  it("has a pod in each slot, if only one that is on its way out, but while it is deleted", () => {
    const workload = cluster.state.workloads.get(pod.workload)!;
    workload.spec.replicas = 2;
    const blame = "workload web has pods for 1 of 2 slots, and none is made";
    expect(saidAfter(30_000)).toEqual([blame]);
    // Again only when it lasts again.
    workload.spec.replicas = 1;
    expect(lookAt(31_000)).toEqual([]);
    workload.spec.replicas = 2;
    expect(lookAt(32_000)).toEqual([]);
    expect(lookAt(61_999)).toEqual([]);
    expect(lookAt(62_000)).toEqual([blame]);
    workload.deleting = true;
    expect(lookAt(63_000)).toEqual([]);
  });

  it("has none in the slot of a pod that is lost", () => {
    Object.assign(pod, { state: "lost", reason: "NODE_UNHEARD" });
    cluster.state.nodes.get("n1")!.state = "unknown";
    expect(saidAfter(30_000)).toContain("workload web has pods for 0 of 1 slots, and none is made");
  });
});

describe("a pod", () => {
  it("is lost no longer when its node is back", () => {
    Object.assign(pod, { state: "lost", reason: "NODE_UNHEARD" });
    expect(saidAfter(30_000)).toContain(`pod ${pod.key} stays lost though n1 is back`);
    troubles.begin("n1", "cut")();
    expect(lookAt(60_000).filter((what) => what.includes("stays lost"))).toEqual([]);
  });

  it("says why it does not come up, or its node cannot", () => {
    pod.state = "running";
    const blame = `pod ${pod.key} stays running and does not say why`;
    expect(saidAfter(30_000)).toEqual([blame]);
    pod.unheard = true;
    expect(lookAt(31_000)).toEqual([]);
    pod.unheard = false;
    expect([lookAt(32_000), lookAt(62_000)]).toEqual([[], [blame]]);
    pod.message = "No such image.";
    expect([lookAt(63_000), lookAt(93_000)]).toEqual([[], []]);
    pod.message = "";
    lookAt(100_000);
    now = 110_000;
    troubles.begin("n1", "cut")();
    expect([lookAt(140_000), lookAt(141_000), lookAt(171_000)]).toEqual([[], [], [blame]]);
    now = 180_000;
    troubles.begin("bus", "freeze")();
    expect([lookAt(210_000), lookAt(211_000), lookAt(241_000)]).toEqual([[], [], [blame]]);
    Object.assign(pod, { node: null });
    container.state = "exited";
    expect([lookAt(250_000), lookAt(280_000)]).toEqual([[blame], [blame]]);
  });
});
