// An autoscaler in a whole cluster of simulated nodes: up to its bound and back, through the death of the leader.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AutoscalerObject, Feed } from "../../schemas/generated/types.ts";
import { Cluster, until } from "../support/cluster.ts";

const cooldownMs = 8000;

/** A workload whose pods seem to use that much of the 100m they request. */
const web = (cpu: string): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "web" },
  spec: { containers: [{ name: "main", sim: { cpu }, resources: { requests: { cpu: "100m", memory: "64Mi" } } }] },
});
const autoscaler = {
  apiVersion: "swain/v1",
  kind: "Autoscaler",
  metadata: { name: "web" },
  spec: {
    workload: "web",
    minReplicas: 2,
    maxReplicas: 7,
    cpu: 50,
    memory: 80,
    cooldown: `${cooldownMs}ms`,
    scaleUp: { pods: 3 },
    scaleDown: { window: "10s" },
  },
};

describe("an autoscaler in a cluster", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "sim", nodes: 3, controllers: 2 });
  });
  afterAll(() => cluster?.dispose());

  const replicas = async (): Promise<number> => (await cluster.workload("web")).status.replicas;
  const seen = async (): Promise<AutoscalerObject> =>
    JSON.parse(await cluster.ok("get", "autoscaler/web", "-o", "json")) as AutoscalerObject;
  const decisions = async (): Promise<{ from: number; replicas: number; reason: string; at: number }[]> => {
    const { items } = JSON.parse(await cluster.ok("get", "events", "web", "-o", "json")) as { items: Feed[] };
    return items
      .filter(({ type }) => type === "swain.autoscaler.scaled")
      .map(({ data, time }) => ({
        ...(data as { from: number; replicas: number; reason: string }),
        at: Date.parse(time),
      }));
  };

  const leader = async (): Promise<string> => {
    const { items } = JSON.parse(await cluster.ok("get", "events", "-A", "-o", "json")) as { items: Feed[] };
    return String(
      items
        .findLast(({ type }) => type === "swain.leader.elected")
        ?.subject.split("/")
        .at(-1),
    );
  };

  it("brings a new workload to its least replicas at once, and says what it sees", async () => {
    const applied = await cluster.apply([autoscaler, web("150m")], "--wait");
    expect(applied.code, applied.stderr).toBe(0);
    expect(await replicas()).toBe(2);
    expect((await decisions())[0]).toMatchObject({ from: 1, replicas: 2, reason: "OUTSIDE_BOUNDS" });
    expect(await cluster.ok("get", "autoscalers")).toMatch(
      /^web +web +cpu (-|150%)\/50%, memory (-|25%)\/80% +2 +7 +2 /m,
    );
    const top = await until("figures of both pods", async () => {
      const text = await cluster.ok("top", "pods");
      return (text.match(/ 150m +150% +16Mi +25%$/gm) ?? []).length === 2 && text;
    });
    expect(top.split("\n")[0]).toMatch(/^NAME +NODE +CPU +CPU% +MEMORY +MEMORY%$/);
    expect(await cluster.ok("top", "nodes")).toMatch(/^node-\d +150m +\d+% +16Mi +\d+%$/m);
  });

  it("goes up step by step to its bound though the leader dies, never before its cooldown is over", async () => {
    await until("the first step", async () => (await replicas()) === 5, 60_000);
    await cluster.kill(await leader());
    const now = await until("the standby answers", async () => (await seen()).status.now);
    expect(["COOLDOWN", "METRICS_MISSING"]).toContain(now.reason);
    await until("the bound", async () => (await replicas()) === 7, 90_000);
    const up = (await decisions()).slice(1);
    expect(up.map((one) => [one.from, one.replicas])).toEqual([
      [2, 5],
      [5, 7],
    ]);
    // Event times are of two controllers of one machine.
    for (const [index, one] of up.slice(1).entries())
      expect(one.at - (up[index]?.at ?? 0)).toBeGreaterThanOrEqual(cooldownMs);
    const story = await until("it says that it is at its bound, with figures of all seven", async () => {
      const text = await cluster.ok("describe", "autoscaler/web");
      return text.includes("AT_MAXIMUM") && / +7 +0 +0 +21$/m.test(text) && text;
    });
    expect(story).toMatch(/^Last change: +.* ago from 5 to 7: ABOVE_TARGET: CPU is at 150 % of its request/m);
    expect(story).toMatch(/^ +cpu +1050m +700m +150% +50% +7 +0 +0 +21$/m);
    expect(await cluster.ok("describe", "workload/web")).toMatch(/^Autoscaler: +web, 2 to 7 replicas, AT_MAXIMUM$/m);
    expect(story).toContain("AT_MAXIMUM: Raise maxReplicas if the pods cannot keep up.");
  });

  it("comes down with the load when a whole window was calm, keeping the count when the template is applied", async () => {
    const applied = await cluster.apply([web("5m")], "--wait");
    expect(applied.code, applied.stderr).toBe(0);
    expect((await cluster.workload("web")).status).toMatchObject({ replicas: 7, updated: 7 });
    await until("the least replicas", async () => (await replicas()) === 2, 90_000);
    // Pods of the new template count as busy until their figures are in, so it may take two steps.
    const down = (await decisions()).slice(3);
    expect(down[0]?.from).toBe(7);
    expect(down.every(({ from, replicas: to, reason }) => to < from && reason === "BELOW_TARGET")).toBe(true);
    expect(await cluster.ok("describe", "autoscaler/web")).toMatch(/AT_MINIMUM|COOLDOWN|METRICS_MISSING/);
  });

  it("lets people scale within its bounds, brings the count back from without, and leaves 0 alone", async () => {
    const outside = await cluster.run("scale", "workload/web", "--replicas", "9");
    expect(outside.stderr).toContain("autoscaler web brings it back within 2 to 7 at once");
    await until("it is back", async () => (await replicas()) === 7);
    const zero = await cluster.run("scale", "workload/web", "--replicas", "0", "--wait");
    expect(zero.stderr).toContain("autoscaler web leaves it alone until it is scaled up again");
    await until("it says so", async () => (await seen()).status.now.reason === "SCALED_TO_ZERO");
    const { length } = await decisions();
    expect(await cluster.ok("autoscale", "workload/web", "--max", "5")).toBe("autoscaler default/web configured\n");
    // A changed autoscaler looks at once.
    expect((await seen()).spec).toMatchObject({ minReplicas: 2, maxReplicas: 5, cpu: 50, memory: 80 });
    expect(await replicas()).toBe(0);
    expect(await decisions()).toHaveLength(length);
  });

  it("is changed and refused by command, and goes by command", async () => {
    const twice = await cluster.apply([{ ...autoscaler, metadata: { name: "second" } }]);
    expect(twice.code).toBe(2);
    expect(twice.stderr).toContain("workload web has the autoscaler web already");
    const crossed = await cluster.run("autoscale", "workload/web", "--min", "6");
    expect(crossed.code).toBe(2);
    expect(crossed.stderr).toContain("maxReplicas must not be below minReplicas of 6");
    const other = await cluster.run("autoscale", "workload/other", "--mem", "80", "--max", "3");
    expect(other.stdout).toBe(
      "autoscaler default/other created (there is no workload other in namespace default yet)\n",
    );
    expect(await cluster.ok("get", "autoscaler/other")).toContain("WORKLOAD_MISSING");
    expect((await cluster.run("autoscale", "workload/third", "--cpu", "50")).stderr).toContain("--max K");
    await cluster.ok("delete", "autoscaler/other", "--wait");
    await cluster.ok("delete", "autoscaler/web", "--wait");
    expect((await cluster.run("get", "autoscaler/web")).code).toBe(3);
    await cluster.ok("scale", "workload/web", "--replicas", "9", "--wait");
    expect(await replicas()).toBe(9);
    expect((await cluster.run("state", "verify")).code).toBe(0);
  });
});
