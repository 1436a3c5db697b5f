// What the leader keeps of the agents' figures, and what it does not believe.
import { expect, test } from "vitest";
import type { BusMessage } from "../../services/bus/port.ts";
import { UsageStore } from "../../services/controller/autoscale/usage.ts";
import { noCounts } from "../../services/controller/counters.ts";
import type { Context } from "../../services/controller/ports.ts";
import { ManualClock } from "../support/agent.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

function scene(): {
  clock: ManualClock;
  counters: Context["counters"];
  cluster: TestCluster;
  store: UsageStore;
  say: (node: string, value: unknown) => void;
} {
  const clock = new ManualClock();
  const counters = noCounts();
  const cluster = new TestCluster({ n1: {}, n2: {} });
  cluster.apply(workloadManifest("web", { replicas: 2 }));
  const store = new UsageStore({ clock, counters } as unknown as Context, cluster.state);
  const say = (node: string, value: unknown): void => {
    const data = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
    const isOver = (bytes: number): boolean => data.length > bytes;
    store.onMessage({ subject: `swain.test.node.${node}.metrics`, data, isOver } as BusMessage);
  };
  return { clock, counters, cluster, store, say };
}

const pod = (name: string, cpuMillis: number): object => ({ namespace: "default", name, cpuMillis, memoryBytes: 7 });
const figures = (...pods: object[]): object => ({ time: 1, node: { cpuMillis: 900, memoryBytes: 9 }, pods });

test("the newest figures of a pod are those of its own node, with their age, and are none when they are old", async () => {
  const { clock, cluster, store, say } = scene();
  const [one] = cluster.pods();
  if (one === undefined) throw new Error("two pods were placed");
  const other = one.node === "n1" ? "n2" : "n1";
  expect(store.pod(one)).toBeNull();
  say(other, figures(pod(one.name, 500)));
  expect(store.pod(one)).toBeNull();
  say(one.node ?? "", figures(pod(one.name, 100)));
  say(one.node ?? "", figures(pod(one.name, 200)));
  await clock.advance(3000);
  expect(store.pod(one)).toEqual({ cpuMillis: 200, memoryBytes: 7, ageMs: 3000 });
  expect(store.node(one.node ?? "")).toEqual({ cpuMillis: 900, memoryBytes: 9, ageMs: 3000 });
  await clock.advance(17_001);
  expect(store.pod(one)).toBeNull();
  expect(store.node(one.node ?? "")).toBeNull();
});

test("nonsense, strangers and floods are counted and give no figures", () => {
  const { counters, cluster, store, say } = scene();
  const [one] = cluster.pods();
  if (one === undefined) throw new Error("two pods were placed");
  say("stranger", figures());
  say(one.node ?? "", "x".repeat(300 * 1024));
  expect(counters.dropped).toBe(2);
  for (const nonsense of ["", "{", "[]", '{"time":1}', figures({ name: one.name, cpuMillis: -1 })]) {
    say(one.node ?? "", nonsense);
    expect(store.pod(one)).toBeNull();
    expect(store.node(one.node ?? "")).toBeNull();
  }
  // Each was looked at once, however often it was asked for.
  expect(counters.malformed).toBe(5);
});
