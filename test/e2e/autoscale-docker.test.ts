// An autoscaler on real containers: two of them begin to burn CPU, become four, calm down and are two again.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Feed, TopItem } from "../../schemas/generated/types.ts";
import { Cluster, until } from "../support/cluster.ts";
import { describeEngine, testImage } from "../support/docker.ts";

/** Burns all the CPU it gets while the file is there. */
const burner = "while :; do if [ -e /control/burn ]; then :; else sleep 1; fi; done";

await describeEngine("an autoscaler on a container engine", (engine) => {
  let cluster: Cluster;
  let control: string;

  beforeAll(async () => {
    control = mkdtempSync(join(tmpdir(), "swain-burn-"));
    cluster = await Cluster.up({
      runtime: "docker",
      nodes: 2,
      natsServer: engine.natsServer,
      args: ["--engine", engine.socket],
    });
  });
  afterAll(async () => {
    await cluster?.dispose();
    rmSync(control, { recursive: true, force: true });
  });

  const ready = async (): Promise<number> => {
    const { replicas, ready, pods } = (await cluster.workload("burner")).status;
    return pods === replicas ? ready : -1;
  };
  const top = async (): Promise<TopItem[]> =>
    (JSON.parse(await cluster.ok("top", "pods", "-o", "json")) as { items: TopItem[] }).items;

  it("goes from two pods to its four and back, each time for a reason", async () => {
    const container = {
      name: "main",
      image: testImage,
      command: ["sh", "-c", burner],
      volumes: [{ hostPath: control, mountPath: "/control", readOnly: true }],
      // The limit keeps four burners below half a core, and each of them at twice its request.
      resources: { requests: { cpu: "50m", memory: "8Mi" }, limits: { cpu: "100m" } },
    };
    const manifests = [
      {
        apiVersion: "swain/v1",
        kind: "Workload",
        metadata: { name: "burner" },
        spec: { stopGracePeriod: "1s", containers: [container] },
      },
      {
        apiVersion: "swain/v1",
        kind: "Autoscaler",
        metadata: { name: "burner" },
        spec: {
          workload: "burner",
          minReplicas: 2,
          maxReplicas: 4,
          cpu: 70,
          cooldown: "5s",
          scaleDown: { window: "10s" },
        },
      },
    ];
    const applied = await cluster.apply(manifests, "--wait");
    expect(applied.code, applied.stderr).toBe(0);
    await until("two pods with figures, both calm", async () => {
      const items = await top();
      return (
        items.length === 2 && items.every(({ use }) => use !== undefined && use.cpuMillis < 35 && use.memoryBytes > 0)
      );
    });
    const began = performance.now();
    writeFileSync(join(control, "burn"), "");
    await until("four pods are ready", async () => (await ready()) === 4, 120_000);
    const upMs = performance.now() - began;
    await until("all four are seen to burn", async () => {
      const items = await top();
      return items.length === 4 && items.every(({ use }) => (use?.cpuMillis ?? 0) > 50);
    });
    const story = await until("it says that it is at its bound", async () => {
      const text = await cluster.ok("describe", "autoscaler/burner");
      return text.includes("AT_MAXIMUM") && text;
    });
    expect(story).toMatch(/^Last change: +.* ago from \d to 4: ABOVE_TARGET: CPU is at \d+ % of its request/m);
    rmSync(join(control, "burn"));
    const calm = performance.now();
    await until("two pods are left", async () => (await ready()) === 2, 120_000);
    console.log(`2 to 4 ready in ${Math.round(upMs)} ms, back in ${Math.round(performance.now() - calm)} ms`);
    const { items } = JSON.parse(await cluster.ok("get", "events", "burner", "-o", "json")) as { items: Feed[] };
    const decisions = items
      .filter(({ type }) => type === "swain.autoscaler.scaled")
      .map(({ data }) => data as { from: number; replicas: number; reason: string });
    expect(decisions[0]).toMatchObject({ from: 1, replicas: 2, reason: "OUTSIDE_BOUNDS" });
    expect(decisions.slice(1).every(({ replicas }) => replicas >= 2 && replicas <= 4)).toBe(true);
    expect(decisions.at(-1)).toMatchObject({ replicas: 2, reason: "BELOW_TARGET" });
    expect((await cluster.run("state", "verify")).code).toBe(0);
  }, 400_000);
});
