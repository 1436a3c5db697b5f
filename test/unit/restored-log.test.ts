// A restored log continues the one it names, and nothing else.
import { describe, expect, it } from "vitest";
import type { Assign, Event } from "../../schemas/generated/types.ts";
import { judge } from "../../services/agent/assignment.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const restoredEvent = (cluster: TestCluster, over: Partial<Event> = {}, parent = cluster.state.logId): Event => {
  const sequence = cluster.state.sequence;
  const restored = { kind: "cluster", verb: "restored", name: "uid", parent, sequence, message: "" } as const;
  const items: Event["items"] = [restored, { kind: "leader", verb: "elected", name: "restore" }];
  return { ...cluster.envelope("restore", items), logId: "log2", epoch: sequence + 1, ...over };
};

describe("the fold of a restored log", () => {
  const start = (): TestCluster => {
    const cluster = new TestCluster({ n1: {} });
    cluster.apply(workloadManifest("web", { replicas: 2 }));
    cluster.converge();
    return cluster;
  };

  it("goes on under the new id with the pods it had, and names new ones as no pod was named", () => {
    const cluster = start();
    expect(cluster.record(restoredEvent(cluster))).toBe("accepted");
    expect(cluster.state).toMatchObject({ logId: "log2", parents: ["log1"], clusterUid: "uid" });
    expect(cluster.pods().map(({ name, state }) => [name, state])).toEqual([
      ["web-1", "ready"],
      ["web-2", "ready"],
    ]);
    cluster.elect("c2");
    cluster.apply(workloadManifest("web", { replicas: 3 }));
    expect(cluster.pods().at(-1)?.name).toBe("web-100003");
  });

  it("is another cluster where it was restored as a copy, which runs nothing of the first", () => {
    const cluster = start();
    const event = restoredEvent(cluster);
    const items = event.items.map((item) => (item.kind === "cluster" ? { ...item, name: "uid-of-copy" } : item));
    expect(cluster.record({ ...event, items })).toBe("accepted");
    expect(cluster.state).toMatchObject({ logId: "log2", parents: ["log1"], clusterUid: "uid-of-copy" });
  });

  it.each([
    ["of another parent", {}, "log0"],
    ["under the same id", { logId: "log1" }, undefined],
    ["that is no election of its own sequence", { epoch: 1 }, undefined],
    ["that does not follow the last event", { prev: "e1" }, undefined],
    ["without an election", { items: [{ ...restoredEvent(start()).items[0] }] }, undefined],
  ] as const)("skips one %s", (_what, over, parent) => {
    const cluster = start();
    expect(cluster.record(restoredEvent(cluster, over as Partial<Event>, parent))).toBe("foreign");
    expect(cluster.state.logId).toBe("log1");
  });
});

describe("an agent that followed the log which was restored", () => {
  const held = { logId: "log1", clusterUid: "uid", epoch: 1, term: "", generation: 500, items: new Map() };
  const assign = (over: Partial<Assign>): Assign => ({
    clusterUid: "uid",
    logId: "log2",
    parents: ["log1"],
    epoch: 301,
    generation: 250,
    base: 0,
    items: [],
    gone: [],
    ...over,
  });

  it("takes a whole assignment of its heir, however low its generation, and asks for one when told a part", () => {
    expect(judge(held, assign({}))).toMatchObject({ take: { logId: "log2", generation: 250 }, full: true });
    expect(judge(held, assign({ base: 250 }))).toEqual({ keep: "gap" });
    expect(judge(held, assign({ next: "default/web-1" }))).toEqual({ keep: "gap" });
  });

  it("follows no log that does not name it", () => {
    expect(judge(held, assign({ parents: ["log0"] }))).toEqual({ keep: "foreign" });
    expect(judge(held, assign({ parents: undefined as never }))).toEqual({ keep: "foreign" });
  });
});
