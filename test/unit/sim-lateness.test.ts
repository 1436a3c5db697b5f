// What the simulation takes for late: to say that a node is silent, to give up its pods, and to lead after another.
import { beforeEach, describe, expect, it } from "vitest";
import type { WorkloadSpec } from "../../schemas/generated/types.ts";
import { type Candidate, Lateness } from "../simulation/lateness.ts";
import { Silence } from "../simulation/silence.ts";
import { Troubles } from "../simulation/troubles.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

let now: number;
let cluster: TestCluster;
let troubles: Troubles;
let silence: Silence;
let lateness: Lateness;
let said: string[];
let candidates: Candidate[];

const unheard = { kind: "node", verb: "unknown", name: "n1", reason: "NODE_UNHEARD", message: "" } as const;
const ready = { kind: "node", verb: "ready", name: "n1" } as const;

/** Looks each second, until then. */
function pass(until: number, each: () => void = () => {}): void {
  for (; now < until; now += 1000) {
    each();
    lateness.look(cluster.state, candidates, true);
  }
}
const beat = (): void => silence.onBeat("n1");
const standby = (name: string, accepted = cluster.state.accepted): Candidate => ({
  name,
  leads: false,
  view: { isIdle: false, state: { accepted } },
});

beforeEach(() => {
  now = 0;
  said = [];
  cluster = new TestCluster({ n1: {}, n2: {}, n3: {}, n4: {} });
  troubles = new Troubles(() => now);
  silence = new Silence(
    () => now,
    troubles,
    () => {},
  );
  lateness = new Lateness(
    () => now,
    troubles,
    silence,
    (message) => said.push(message),
  );
  candidates = [{ ...standby("c1"), leads: true }, standby("c2")];
  silence.onNode(cluster.state, ready, 1, false);
});

describe("a node that is silent", () => {
  it.each([
    ["is late after five seconds", "cut", "", ["node n1 is not called unheard, though it was silent for 6000 ms"]],
    ["is not where it may answer a ping", "lossy", "", []],
    ["is not where its leader was disturbed", "cut", "c1", []],
    ["is not where the bus was disturbed", "cut", "bus", []],
  ])("%s", (_what, kind, place, blamed) => {
    pass(60_000, beat);
    troubles.begin("n1", kind);
    if (place !== "") troubles.begin(place, "slow");
    pass(65_000);
    expect(said).toEqual([]);
    pass(66_000);
    expect(said).toEqual(blamed);
  });

  it("counts from the begin of the term, or from what a leader said of it", () => {
    pass(60_000, beat);
    troubles.begin("n1", "cut");
    now = 64_000;
    cluster.elect("c1");
    pass(68_000);
    silence.onNode(cluster.state, ready, 9, false);
    pass(73_000);
    expect(said).toEqual([]);
    pass(75_000);
    expect(said).not.toEqual([]);
  });
});

describe("a pod whose node is unheard", () => {
  const fall = (spec: Partial<WorkloadSpec>): string => {
    cluster.apply(workloadManifest("web", { replicas: 4, ...spec }));
    cluster.converge();
    pass(60_000, beat);
    cluster.record(cluster.envelope("plan", [unheard]));
    silence.onNode(cluster.state, unheard, 9, false);
    const [pod] = [...cluster.state.nodes.get("n1")!.pods];
    return pod!;
  };

  it.each<[string, Partial<WorkloadSpec>, number]>([
    ["by default", {}, 15],
    ["as its workload says", { lostAfter: "30s" }, 30],
    ["at least when others were told of", { lostAfter: "5s" }, 11],
    ["when no fenced one can run any more", { fence: true }, 55],
  ])("is late, %s", (_what, spec, seconds) => {
    const pod = fall(spec);
    pass(60_000 + (seconds - 2) * 1000);
    expect(said).toEqual([]);
    pass(60_000 + (seconds + 4) * 1000);
    expect(said[0]).toMatch(`${pod} is not given up, though n1 is unheard for `);
  });

  it("waits for its node where its workload says so, and is told to be held", () => {
    const pod = fall({ onNodeLost: "hold" });
    cluster.state.pods.get(pod)!.held = { reason: "NODE_LOST_HELD", message: "" };
    pass(180_000);
    expect(said).toEqual([]);
    cluster.state.pods.get(pod)!.held = null;
    pass(190_000);
    expect(said).not.toEqual([]);
  });

  it("is not late where it is given up, or many nodes are silent at once", () => {
    const pod = fall({});
    cluster.state.nodes.get("n2")!.state = "unknown";
    pass(90_000);
    cluster.state.nodes.get("n2")!.state = "ready";
    cluster.state.pods.get(pod)!.state = "lost";
    pass(180_000);
    expect(said).toEqual([]);
  });
});

describe("a cluster that nobody leads", () => {
  const gone: Candidate = { name: "c1", leads: false, view: undefined };
  const blame = ["nobody leads for 6000 ms, though c2 has read all of the log"];
  it.each<[string, Candidate, readonly [string, string] | null, string[]]>([
    ["is late after five seconds", gone, null, blame],
    ["is so while its leader stands still", { ...gone, leads: true }, ["c1", "pause"], blame],
    ["is not where one in trouble may have been elected", gone, ["c1", "lossy"], []],
    ["is not where its bus was disturbed", gone, ["bus", "busFreeze"], []],
    ["is not where nobody but one that is new is there", gone, ["c2", "kill"], []],
  ])("%s", (_what, first, trouble, blamed) => {
    pass(60_000);
    candidates = [first, standby("c2")];
    if (trouble !== null) troubles.begin(...trouble);
    pass(65_000);
    expect(said).toEqual([]);
    pass(67_000);
    expect(said).toEqual(blamed);
  });

  it("is not late where nobody has read all, or who has waits for an update, or lately had another", () => {
    pass(60_000);
    candidates = [gone, standby("c2", 1)];
    pass(70_000);
    const { state } = cluster;
    candidates = [gone, { ...standby("c2"), view: { isIdle: true, state } }];
    pass(80_000);
    candidates = [gone, standby("c2")];
    cluster.elect("c1");
    pass(86_000);
    expect(said).toEqual([]);
  });
});
