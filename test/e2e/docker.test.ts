// What a user sees with a container engine: real containers on three nodes of one Docker, then of one Podman.
import type Docker from "dockerode";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeEngine } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { Cluster, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { load, spread } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { startRegistry } from "../support/registry.ts";

/** The engine's own kill and start of one container with a published port, without Swain: the median of three. */
async function engineRestartMs(docker: Docker): Promise<number> {
  const container = await docker.createContainer({
    Image: "busybox:stable",
    Cmd: ["sleep", "60"],
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
  });
  const times: number[] = [];
  try {
    await container.start();
    for (let round = 0; round < 3; round++) {
      const began = performance.now();
      await container.kill();
      await container.wait();
      await container.start();
      times.push(performance.now() - began);
    }
  } finally {
    await container.remove({ force: true });
  }
  return median(times);
}

/** Milliseconds from the engine's kill of a container until Swain has it running again. */
async function killedAndBackMs(docker: Docker, id: string, startedAt: string): Promise<number> {
  const began = performance.now();
  await docker.getContainer(id).kill();
  await until(
    "the container runs again",
    async () => {
      const { State } = await docker.getContainer(id).inspect();
      return State.Running && State.StartedAt !== startedAt;
    },
    10_000,
    20,
  );
  return performance.now() - began;
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;

/** Containers of this cluster, found by the ids the pods name. */
async function containersOf(
  docker: Docker,
  cluster: Cluster,
): Promise<{ id: string; pod: string; startedAt: string }[]> {
  const pods = await cluster.pods();
  const list = pods.flatMap((pod) =>
    (pod.status.containers ?? []).map((container) => ({ id: container.id, pod: pod.metadata.name })),
  );
  return Promise.all(
    list.map(async ({ id, pod }) => {
      const { State } = await docker.getContainer(id).inspect();
      return { id, pod, startedAt: State.StartedAt };
    }),
  );
}

const ready = async (cluster: Cluster, count: number): Promise<boolean> => {
  const pods = await cluster.pods();
  return pods.length === count && pods.every((pod) => pod.status.state === "ready");
};

await describeEngine("a cluster on a container engine", suite);

function suite(engine: TestEngine): void {
  const docker = engine.api;
  let cluster: Cluster;
  let port: number;

  beforeAll(async () => {
    cluster = await Cluster.up({
      runtime: "docker",
      nodes: 3,
      natsServer: engine.natsServer,
      args: ["--engine", engine.socket],
    });
    port = await freePort();
    const applied = await cluster.apply([web("web", { replicas: 6 }), service("web", port)], "--wait");
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  });
  afterAll(() => cluster?.dispose());

  it("spreads six replicas 2/2/2 over three nodes", async () => {
    const pods = await cluster.pods();
    const perNode = ["node-1", "node-2", "node-3"].map((node) => pods.filter((pod) => pod.spec.node === node).length);
    expect(perNode).toEqual([2, 2, 2]);
    expect(pods.every((pod) => pod.status.state === "ready")).toBe(true);
  });

  it("balances requests evenly over all of them", async () => {
    const seen = await until("all six answer", async () => {
      const counts = await spread(port, 60);
      return counts.size === 6 && counts;
    });
    expect([...seen.values()].every((count) => count >= 9 && count <= 11)).toBe(true);
  });

  it("has a killed container running again within a second of the engine's own start time", async () => {
    const engineMs = await engineRestartMs(docker);
    const times: number[] = [];
    // Of those that never ended: one that ends again waits before it is started.
    const fresh = (await cluster.pods()).filter(({ status }) => status.restarts === 0);
    const names = new Set(fresh.map(({ metadata }) => metadata.name));
    const victims = (await containersOf(docker, cluster)).filter(({ pod }) => names.has(pod)).slice(0, 3);
    expect(victims).toHaveLength(3);
    for (const { id, startedAt } of victims) times.push(await killedAndBackMs(docker, id, startedAt));
    const tookMs = median(times);
    const figures = `killed and running again after ${Math.round(tookMs)} ms; the engine alone ${Math.round(engineMs)} ms`;
    console.log(figures);
    expect(tookMs, figures).toBeLessThan(engineMs + 1000);
    await until("they are ready, with one restart", async () => {
      const pods = (await cluster.pods()).filter((each) => victims.some(({ pod }) => pod === each.metadata.name));
      return pods.every((pod) => pod.status.state === "ready" && pod.status.restarts === 1);
    });
    await until("they are balanced to again", async () => (await spread(port, 12)).size === 6);
  });

  it("restarts or doubles no container when an agent is killed and started again", async () => {
    await until("all ready", () => ready(cluster, 6));
    const before = await containersOf(docker, cluster);
    await cluster.kill("agent-node-1");
    cluster.revive("agent-node-1");
    await until("node-1 was heard by its new agent", async () => {
      const nodes = await cluster.nodes();
      return nodes.find((node) => node.metadata.name === "node-1")?.status.state === "ready";
    });
    // Long enough for a wrong restart to happen: the agent has reported and been reconciled.
    await cluster.ok("scale", "workload/web", "--replicas", "7", "--wait");
    await cluster.ok("scale", "workload/web", "--replicas", "6", "--wait");
    const after = await containersOf(docker, cluster);
    const kept = before.filter(({ id, startedAt }) =>
      after.some((now) => now.id === id && now.startedAt === startedAt),
    );
    expect(kept).toHaveLength(6);
    const uid = (await docker.getContainer(after[0]?.id ?? "").inspect()).Config.Labels["swain.cluster"];
    const label = [`swain.cluster=${uid}`, "swain.node=node-1"];
    const labelled = await docker.listContainers({ all: true, filters: { label } });
    const names = labelled.map((container) => container.Labels["swain.pod"] ?? "").sort();
    const pods = (await cluster.pods()).filter((pod) => pod.spec.node === "node-1");
    expect(names).toEqual(pods.map((pod) => `default/${pod.metadata.name}`).sort());
  });

  it("replaces the pods of a changed template one by one without a failed request", async () => {
    await cluster.ok("scale", "workload/web", "--replicas", "3", "--wait");
    const steady = load(port, 4);
    const applied = await cluster.apply(
      [web("web", { replicas: 3 }, { env: [{ name: "RELEASE", value: "2" }] })],
      "--wait",
    );
    const { sent, failed } = await steady.stop();
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    console.log(`template change of 3 under load: ${sent} requests, ${failed.length} failed`);
    expect(failed).toEqual([]);
    expect(sent).toBeGreaterThan(20);
    expect((await cluster.workload("web")).status).toMatchObject({ updated: 3, ready: 3, phase: "steady" });
  });

  it("halts at a broken image with its reason while the old pods serve on", async () => {
    const registry = await startRegistry(await engine.registryPort());
    try {
      const broken = web("web", { replicas: 3 }, { image: `${registry.host}/no-such-image:1` });
      const applied = await cluster.apply([broken], "--wait", "--timeout", "50s");
      expect(applied.code).not.toBe(0);
      expect(applied.stdout + applied.stderr).toContain("IMAGE_NOT_FOUND");
      const { status } = await cluster.workload("web");
      expect(status).toMatchObject({ phase: "halted", reason: "IMAGE_NOT_FOUND", ready: 3 });
      expect((await spread(port, 9)).size).toBe(3);
      expect(await cluster.ok("get", "pods")).toContain("IMAGE_NOT_FOUND");
      expect(await cluster.ok("describe", "workload/web")).toContain("IMAGE_NOT_FOUND");
      expect(await cluster.ok("events")).toContain("IMAGE_NOT_FOUND");
    } finally {
      await registry.close();
    }
  });

  it("scales to ten and then to one", async () => {
    await cluster.apply([web("web", { replicas: 3 })], "--wait");
    await cluster.ok("scale", "workload/web", "--replicas", "10", "--wait");
    expect(await ready(cluster, 10)).toBe(true);
    await cluster.ok("scale", "workload/web", "--replicas", "1", "--wait");
    await until("one pod is left", () => ready(cluster, 1));
    expect((await spread(port, 5)).size).toBe(1);
  });

  it("shows a pod's output", async () => {
    const [pod] = await cluster.pods();
    const talker = web(
      "talker",
      { replicas: 1, restartPolicy: "Never" },
      { command: ["sh", "-c", "echo one; echo two >&2; sleep 300"], ports: [] },
    );
    expect((await cluster.apply([talker], "--wait")).code).toBe(0);
    const name = (await cluster.pods()).find((each) => each.spec.workload === "talker")?.metadata.name ?? "";
    expect(pod?.metadata.name).toBeDefined();
    const text = await until("both lines", async () => {
      const { stdout, stderr } = await cluster.run("logs", `pod/${name}`);
      return stdout.includes("one") && stderr.includes("two") && { stdout, stderr };
    });
    expect(text).toEqual({ stdout: "one\n", stderr: "two\n" });
    await cluster.ok("delete", "workload/talker", "--wait");
  });

  it("says why a pod with a taken hostPort does not run", async () => {
    const { createServer } = await import("node:net");
    const taken = createServer();
    const busy = await new Promise<number>((resolve) => {
      taken.listen(0, "127.0.0.1", () => resolve((taken.address() as { port: number }).port));
    });
    try {
      const clash = web("clash", { replicas: 1 }, { ports: [{ name: "http", containerPort: 8080, hostPort: busy }] });
      expect((await cluster.apply([clash])).code).toBe(0);
      const pod = await until("the pod says PORT_TAKEN", async () =>
        (await cluster.pods()).find((each) => each.spec.workload === "clash" && each.status.reason === "PORT_TAKEN"),
      );
      expect(pod.status.state).toBe("failed");
      expect(await cluster.ok("get", "pods")).toContain("PORT_TAKEN");
      expect(await cluster.ok("describe", `pod/${pod.metadata.name}`)).toContain("PORT_TAKEN");
      expect(await cluster.ok("events")).toContain("PORT_TAKEN");
    } finally {
      taken.close();
      await cluster.ok("delete", "workload/clash", "--wait");
    }
  });
}
