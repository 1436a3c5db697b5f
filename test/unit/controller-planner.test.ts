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

/** A planner to which the same is to be done for ever: what is committed is not folded. */
function endless(kind: "committed" | "full") {
  const cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("web", { replicas: 1, ...image("app:1") }));
  cluster.write("api", [{ kind: "workload", verb: "scaled", namespace: "default", name: "web", replicas: 2 }]);
  const writer = {
    first: (items: readonly unknown[]) => items,
    passed: (_: string, items: readonly unknown[]) => items,
    write: async () => ({ kind }),
  } as unknown as Writer;
  const clock = new ManualClock();
  const context = { clock, counters: noCounts(), measures: noMeasures(), log: silent } as unknown as Context;
  const sources = { view: () => cluster.view(), isDeaf: () => false, sinceExcuse: () => Infinity };
  return { planner: new Planner(context, cluster.state, sources), writer, context };
}

it("rests for a second where the log takes nothing, whatever is heard meanwhile", async () => {
  const { planner, writer } = endless("full");
  expect(await planner.step(writer)).toBe(false);
  planner.look();
  expect(planner.waitMs).toBe(1000);
});

it("a planner that always finds something to do is counted as a defect, and rests for a second", async () => {
  const { planner, writer, context } = endless("committed");
  for (let plans = 0; plans < 999; plans++) {
    planner.look();
    expect(await planner.step(writer)).toBe(true);
  }
  expect(context.counters.refused).toBe(0);
  planner.look();
  await planner.step(writer);
  expect([context.counters.refused, planner.waitMs]).toEqual([1, 1000]);
});
