// Whose word counts for a node where several agents speak.
import { beforeEach, describe, expect, it } from "vitest";
import { Boots } from "../../services/controller/nodes/boots.ts";
import type { Context } from "../../services/controller/ports.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock } from "../support/agent.ts";

let clock: ManualClock;
let context: Context;
let said: unknown[];

beforeEach(() => {
  clock = new ManualClock();
  said = [];
  const log: Context["log"] = { ...silent, warn: (_, fields) => said.push(fields) };
  context = { clock, log } as unknown as Context;
});

describe("two agents under one node id", () => {
  it("are told apart by their boots: the newer speaks, and the older again once it is alone", async () => {
    const boots = new Boots(context);
    expect(boots.hear("n1", "old")).toBe(true);
    await clock.advance(1000);
    expect(boots.hear("n1", "new")).toBe(true);
    await clock.advance(1000);
    expect(boots.hear("n1", "old")).toBe(false);
    expect([boots.speaks("n1", "new"), boots.speaks("n1", "old")]).toEqual([true, false]);
    await clock.advance(2500);
    expect(boots.hear("n1", "old")).toBe(true);
    expect([boots.speaks("n1", "new"), boots.speaks("n1", "old")]).toEqual([false, true]);
    expect(boots.speaks("n2", "any")).toBe(true);
  });

  it("are said to be two also where there are more, which speak in turns", async () => {
    const boots = new Boots(context);
    for (const boot of ["a", "b", "c"]) expect(boots.hear("n1", boot)).toBe(true);
    await clock.advance(1000);
    expect(["a", "b", "c"].map((boot) => boots.hear("n1", boot))).toEqual([false, false, true]);
    expect(said).toEqual([{ code: "NODE_ID_DOUBLED", node: "n1" }]);
    expect(["a", "b", "c"].map((boot) => boots.speaks("n1", boot))).toEqual([false, false, true]);
    // The newest one ends: one of the two that are left speaks, the other does not.
    await clock.advance(3000);
    expect(["a", "b"].map((boot) => boots.hear("n1", boot))).toEqual([true, false]);
    expect(boots.isBack("n1")).toBe(true);
  });
});
