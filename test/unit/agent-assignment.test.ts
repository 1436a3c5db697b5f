import { describe, expect, it } from "vitest";
import type { Assign } from "../../schemas/generated/types.ts";
import type { Held } from "../../services/agent/assignment.ts";
import { joinPages, judge, nothingHeld, withdrawn } from "../../services/agent/assignment.ts";
import { podNamed } from "../support/agent.ts";

const message = (more: Partial<Assign>): Assign => ({
  clusterUid: "uid",
  logId: "log",
  epoch: 1,
  generation: 10,
  base: 0,
  items: [],
  gone: [],
  ...more,
});

const held = (generation: number, ...names: string[]): Held => ({
  logId: "log",
  clusterUid: "uid",
  epoch: 1,
  term: "one",
  generation,
  items: new Map(names.map((name) => [`default/${name}`, podNamed(name)])),
});

const names = (verdict: ReturnType<typeof judge>): string[] =>
  "take" in verdict ? [...verdict.take.items.keys()].sort() : [];

describe("an assignment", () => {
  it("is taken whole when its base is 0", () => {
    const verdict = judge(held(5, "a-1"), message({ items: [podNamed("b-1")] }));
    expect(verdict).toMatchObject({ full: true, take: { generation: 10, clusterUid: "uid" } });
    expect(names(verdict)).toEqual(["default/b-1"]);
  });

  it("is taken as a difference when it follows what is held", () => {
    const verdict = judge(held(5, "a-1", "b-1"), message({ base: 5, items: [podNamed("c-1")], gone: ["default/a-1"] }));
    expect(verdict).toMatchObject({ full: false });
    expect(names(verdict)).toEqual(["default/b-1", "default/c-1"]);
  });

  it("is taken from an older base too, since it then includes what is held", () => {
    expect(names(judge(held(5, "a-1"), message({ base: 3, items: [podNamed("a-1"), podNamed("b-1")] })))).toEqual([
      "default/a-1",
      "default/b-1",
    ]);
  });

  it("with a gap before it is not taken", () => {
    expect(judge(held(5), message({ base: 6 }))).toEqual({ keep: "gap" });
    expect(judge(nothingHeld, message({ base: 6 }))).toEqual({ keep: "gap" });
  });

  it("that is a page of several is not taken by itself", () => {
    expect(judge(held(5, "a-1"), message({ next: "default/x-1" }))).toEqual({ keep: "gap" });
  });

  it("of an older generation is refused, also when it is whole", () => {
    expect(judge(held(11, "a-1"), message({}))).toEqual({ keep: "stale" });
    expect(judge(held(11, "a-1"), message({ base: 9 }))).toEqual({ keep: "stale" });
  });

  it("of an older generation but a later leader is taken whole: the log lost its end, and what was told from there", () => {
    const verdict = judge(held(11, "a-1"), message({ epoch: 2, items: [podNamed("b-1")] }));
    expect(verdict).toMatchObject({ full: true, take: { epoch: 2, generation: 10 } });
    expect(names(verdict)).toEqual(["default/b-1"]);
    expect(judge(held(11, "a-1"), message({ epoch: 2, base: 9 }))).toEqual({ keep: "gap" });
    expect(judge(held(11, "a-1"), message({ epoch: 2, base: 10 }))).toEqual({ keep: "gap" });
    expect(judge({ ...held(11, "a-1"), epoch: 3 }, message({ epoch: 2 }))).toEqual({ keep: "stale" });
  });

  it("of the same generation, or a later one, but a leader elected before it is taken whole: the log lost the event of it", () => {
    const ofLost = held(10, "a-1");
    for (const generation of [10, 12]) {
      expect(judge(ofLost, message({ epoch: 10, generation, base: 10 }))).toEqual({ keep: "gap" });
      const verdict = judge(ofLost, message({ epoch: 10, generation, items: [podNamed("b-1")] }));
      expect(names(verdict)).toEqual(["default/b-1"]);
    }
    expect(judge(ofLost, message({ epoch: 11, base: 10 }))).toEqual({ keep: "same" });
  });

  it("of another leader that was elected at the same sequence does not compare, whatever its generation", () => {
    for (const generation of [9, 10, 11]) {
      expect(judge(held(10, "a-1"), message({ term: "two", generation }))).toEqual({ keep: "stale" });
    }
    expect(judge(held(10, "a-1"), message({ term: "one" }))).toMatchObject({ full: true });
    // One of before terms had names.
    expect(judge(held(10, "a-1"), message({}))).toMatchObject({ full: true, take: { term: "" } });
    const verdict = judge({ ...held(10, "a-1"), term: "" }, message({ term: "two" }));
    expect(verdict).toMatchObject({ full: true, take: { term: "two" } });
  });

  it("of another log is refused whatever its generation", () => {
    expect(judge(held(5, "a-1"), message({ logId: "other", generation: 99 }))).toEqual({ keep: "foreign" });
  });

  it("of a copy of the cluster is refused, though it is restored from the log that is held", () => {
    const heir = message({ logId: "other", parents: ["log"] });
    expect(judge(held(5, "a-1"), heir)).toMatchObject({ full: true });
    expect(judge(held(5, "a-1"), { ...heir, clusterUid: "copy" })).toEqual({ keep: "foreign" });
  });

  it("of the generation that is held changes nothing as a difference", () => {
    expect(judge(held(10, "a-1"), message({ base: 4, gone: ["default/a-1"] }))).toEqual({ keep: "same" });
  });

  it("withdraws what it does not let run on as it is", () => {
    const told = held(6, "a-1", "b-1", "c-1", "d-1");
    const next = new Map(told.items);
    next.delete("default/a-1");
    next.set("default/b-1", podNamed("b-1", { desired: "stop" }));
    next.set("default/c-1", podNamed("c-1", { templateId: "b" }));
    const before = new Map(told.items).set("default/c-1", podNamed("c-1", { templateId: "a" }));
    const keys = withdrawn({ ...told, items: before }, { ...told, items: next.set("default/e-1", podNamed("e-1")) });
    expect([...keys]).toEqual(["default/a-1", "default/b-1", "default/c-1"]);
    expect(withdrawn(told, told).size).toBe(0);
  });

  it("in pages is joined only when all pages are of one generation, and one leader said them", () => {
    const first = message({ term: "one", items: [podNamed("a-1")], next: "default/a-1" });
    const second = message({ term: "one", items: [podNamed("b-1")] });
    expect(joinPages([first, second])?.items).toHaveLength(2);
    expect(joinPages([first, second])).not.toHaveProperty("next");
    expect(joinPages([first, { ...second, generation: 11 }])).toBeNull();
    expect(joinPages([first, { ...second, logId: "other" }])).toBeNull();
    expect(joinPages([first, { ...second, epoch: 2 }])).toBeNull();
    expect(joinPages([first, { ...second, term: "two" }])).toBeNull();
    expect(joinPages([])).toBeNull();
  });
});
