// The same seed makes the same plan of a fault, so that a run can be repeated.
import { describe, expect, it } from "vitest";
import { Plan } from "../faults/plan.ts";

const counts = [9, 4, 8, 5, 6];
const names = ["node-1", "node-2", "node-3", "node-4"];

function first<T>(count: number, drawn: Iterator<T>): T[] {
  return Array.from({ length: count }, () => drawn.next().value as T);
}

const choices = (plan: Plan): object => ({
  onsetMs: plan.onsetMs,
  changes: first(50, plan.changes(counts, 700)),
  pauses: [first(50, plan.requestPauses("one")), first(50, plan.requestPauses("other"))],
  victims: [plan.victims(names, 1), plan.victims(names, 2)],
});

describe("the plan of a fault", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(choices(new Plan("a"))).toEqual(choices(new Plan("a")));
    const plans = ["a", "b", "c", "d"].map((seed) => JSON.stringify(choices(new Plan(seed))));
    expect(new Set(plans).size).toBe(plans.length);
  });

  it("never asks for what is there already, and for nothing else than it may", () => {
    const asked = first(500, new Plan("a").changes(counts, 700));
    const scaled = asked.filter(({ isDeploy }) => !isDeploy).map(({ replicas }) => replicas);
    expect(new Set(scaled)).toEqual(new Set(counts));
    expect(scaled.filter((replicas, index) => replicas === scaled[index - 1])).toEqual([]);
    // A third of them changes the template instead.
    expect(asked.length - scaled.length).toBeGreaterThan(100);
    for (const { pauseMs } of asked) {
      expect(pauseMs).toBeGreaterThanOrEqual(420);
      expect(pauseMs).toBeLessThanOrEqual(980);
    }
  });

  it("hits each of equals sooner or later, none twice at once, however they are named", () => {
    const seeds = Array.from({ length: 100 }, (_, index) => `${index}`);
    const hit = seeds.map((seed) => new Plan(seed).victims(names, 2));
    expect(new Set(hit.flat())).toEqual(new Set(names));
    for (const [one, other] of hit) expect(one).not.toBe(other);
    expect(seeds.map((seed) => new Plan(seed).victims(names.toReversed(), 2))).toEqual(hit);
    expect(() => new Plan("a").victims(["alone"], 2)).toThrow("nothing to pick from");
  });

  it("gives the same changes however often requests were made", () => {
    const busy = new Plan("a");
    first(1000, busy.requestPauses("one"));
    expect(first(20, busy.changes(counts, 700))).toEqual(first(20, new Plan("a").changes(counts, 700)));
  });
});
