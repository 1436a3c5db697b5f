import { expect, it } from "vitest";
import { noCounts } from "../../services/controller/counters.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Planner } from "../../services/controller/term/planner.ts";
import type { Writer } from "../../services/controller/term/writer.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock } from "../support/agent.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { image } from "../support/rollout.ts";

it("a planner that always finds something to do is counted as a defect, and rests for a second", async () => {
  const cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  // What is committed is not folded, so the same is planned again.
  cluster.write("api", [{ kind: "workload", verb: "scaled", namespace: "default", name: "web", replicas: 2 }]);
  const writer = {
    first: (items: readonly unknown[]) => items,
    passed: (_: string, items: readonly unknown[]) => items,
    write: async () => ({ kind: "committed" }),
  } as unknown as Writer;
  const clock = new ManualClock();
  const context = { clock, counters: noCounts(), measures: noMeasures(), log: silent } as unknown as Context;
  const sources = { view: () => cluster.view(), isDeaf: () => false, sinceExcuse: () => Infinity };
  const planner = new Planner(context, cluster.state, sources);
  for (let plans = 0; plans < 999; plans++) {
    planner.look();
    expect(await planner.step(writer)).toBe(true);
  }
  expect(context.counters.refused).toBe(0);
  planner.look();
  await planner.step(writer);
  expect([context.counters.refused, planner.waitMs]).toEqual([1, 1000]);
});
