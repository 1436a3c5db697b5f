// What a user sees without a container engine: plain processes as pods. The faults that need no engine are here.
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { spread } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";

describe("a cluster of processes", () => {
  let cluster: Cluster;
  let port: number;
  const podsOn = async (node: string): Promise<string[]> =>
    (await cluster.pods())
      .filter((pod) => pod.spec.node === node && pod.status.state !== "lost")
      .map((pod) => pod.metadata.name);
  const liveElsewhere = async (node: string): Promise<number> =>
    (await cluster.pods()).filter((pod) => pod.status.state === "ready" && pod.spec.node !== node).length;

  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "process", nodes: 4, controllers: 1 });
    port = await freePort();
    const spec = { replicas: 4, lostAfter: "6s" };
    const applied = await cluster.apply([web("alone", spec), service("alone", port)], "--wait");
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  });
  afterAll(() => cluster?.dispose());

  it("keeps balancing while the controller is stopped and the nats-server restarted", async () => {
    await until("four answer", async () => (await spread(port, 8)).size === 4);
    await cluster.kill("controller-1");
    expect((await spread(port, 20)).size).toBe(4);
    await cluster.kill("nats-server");
    expect((await spread(port, 20)).size).toBe(4);
    cluster.revive("nats-server");
    expect((await spread(port, 20)).size).toBe(4);
    cluster.revive("controller-1");
    await until(
      "the cluster takes changes again",
      async () => (await cluster.run("scale", "workload/alone", "--replicas", "5", "--wait")).code === 0,
      60_000,
    );
    await until("five answer", async () => (await spread(port, 10)).size === 5);
    await cluster.ok("scale", "workload/alone", "--replicas", "4", "--wait");
  });

  it("shows the pods of a dead agent as possibly running, replaces them, and stops the old copies at its return", async () => {
    const old = await podsOn("node-1");
    expect(old.length).toBeGreaterThan(0);
    await cluster.kill("agent-node-1");
    await until("its pods run elsewhere", async () => (await liveElsewhere("node-1")) === 4, 30_000);
    const lost = (await cluster.pods()).filter((pod) => pod.status.possiblyRunning);
    expect(lost.map((pod) => pod.spec.node)).toEqual(old.map(() => "node-1"));
    expect(await cluster.ok("get", "pods")).toMatch(/lost/);
    const answers = await spread(port, 20);
    for (const pod of lost) expect(answers.has(pod.metadata.name)).toBe(false);
    const returned = Date.now();
    cluster.revive("agent-node-1");
    await until(
      "the old copies are gone",
      async () => (await cluster.pods()).every((pod) => !pod.status.possiblyRunning),
      15_000,
    );
    console.log(`old copies stopped ${Date.now() - returned} ms after the agent's return`);
    expect(Date.now() - returned).toBeLessThan(10_000 + 1000);
    expect(await cluster.pods()).toHaveLength(4);
    expect((await spread(port, 20)).size).toBe(4);
  });

  it("runs each pod of an agent that died with its pods elsewhere exactly once", async () => {
    const victims = await podsOn("node-2");
    await cluster.kill("agent-node-2");
    for (const pod of victims) killPod(pod);
    await until("four are ready elsewhere", async () => (await liveElsewhere("node-2")) === 4, 30_000);
    const pods = (await cluster.pods()).filter((pod) => pod.status.state === "ready");
    expect(new Set(pods.map((pod) => pod.spec.slot)).size).toBe(4);
    expect(pods).toHaveLength(4);
    expect((await spread(port, 20)).size).toBe(4);
    cluster.revive("agent-node-2");
    await until("the lost ones are accounted for", async () => (await cluster.pods()).length === 4, 20_000);
  });

  it("gives back a pod whose process was killed", async () => {
    const [pod] = await cluster.pods();
    killPod(pod?.metadata.name ?? "");
    await until("it is ready again with one restart more", async () => {
      const now = (await cluster.pods()).find((each) => each.metadata.name === pod?.metadata.name);
      return now?.status.state === "ready" && now.status.restarts === (pod?.status.restarts ?? 0) + 1;
    });
    await until("all four answer", async () => (await spread(port, 12)).size === 4);
  });

  it("halts a change to a program that exits at once at its first pod, though nothing checks it", async () => {
    const job = (...command: string[]): object => ({
      apiVersion: "swain/v1",
      kind: "Workload",
      metadata: { name: "job" },
      spec: { replicas: 3, containers: [{ name: "main", process: { command } }] },
    });
    const first = await cluster.apply([job("sleep", "600")], "--wait");
    expect(first.code, first.stderr).toBe(0);
    const ready = async (): Promise<string[]> =>
      (await cluster.pods())
        .filter(({ spec, status }) => spec.workload === "job" && status.state === "ready" && status.restarts === 0)
        .map(({ metadata }) => metadata.name)
        .sort();
    const before = await ready();
    expect(before).toHaveLength(3);
    await cluster.apply([job("sh", "-c", "exit 3")]);
    await until("it halts", async () => (await cluster.workload("job")).status.phase === "halted");
    expect((await cluster.workload("job")).status).toMatchObject({ reason: "EXITED" });
    expect(await ready()).toEqual(before);
    await cluster.ok("delete", "workload/job", "--wait");
  });

  it("says of a pod that it was killed for want of memory, and which limits a node can hold", async () => {
    const nodes = await cluster.nodes();
    const engine = nodes[0]?.facts.engine ?? "";
    if (!engine.includes("memory by cgroup")) {
      expect(process.env["CI"], engine).toBeUndefined();
      expect(engine).toContain("memory not limited: ");
      return;
    }
    expect(nodes[0]?.facts.processLimits).toEqual(["memory", "cpu", "pids"]);
    const eats = "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1))";
    const containers = [
      { name: "main", process: { command: ["node", "-e", eats] }, resources: { limits: { memory: "64Mi" } } },
    ];
    const spec = { replicas: 1, restartPolicy: "Never", containers };
    const greedy = { apiVersion: "swain/v1", kind: "Workload", metadata: { name: "greedy" }, spec };
    const applied = await cluster.apply([greedy]);
    expect(applied.code, applied.stderr).toBe(0);
    await until("it is told", async () => {
      const pod = (await cluster.pods()).find(({ metadata }) => metadata.name.startsWith("greedy-"));
      return pod?.status.reason === "OOM_KILLED";
    });
  });
});

/** Ends every process of a pod, its program and the wrapper, found by the variable Swain gives them: no other test has such a name. */
function killPod(pod: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`SWAIN_POD=${pod}`))
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // Gone meanwhile.
    }
  }
}
