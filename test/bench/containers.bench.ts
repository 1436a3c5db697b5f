// Real containers: apply → all ready, beside the same work done straight through dockerode and by Docker Swarm in the same
// run; and from a killed container to its replacement running, beside the engine's own start.
import { connect } from "node:net";
import type Docker from "dockerode";
import { afterAll, beforeAll, it } from "vitest";
import { Cluster } from "../support/cluster.ts";
import { describeEngine, testImage } from "../support/docker.ts";
import { web } from "../support/manifests.ts";
import { inParallel, Operator, timed } from "./support/cluster.ts";
import { note, ratio, record } from "./support/report.ts";

const group = "Containers: apply to all ready, one published port each";
const restartGroup = "A killed container is running again";
const command = ["sh", "-c", "mkdir -p /www && echo x > /www/index.html && exec httpd -f -p 8080 -h /www"];
/** More starts in flight than this only make each slower on this class of machine. */
const rawWidth = 4;
const sizes = [
  { count: 1, rounds: 5 },
  { count: 20, rounds: 3 },
  { count: 50, rounds: 3 },
];

// Beside Docker alone: Swarm is a part of it, and the bars are ratios to its own work.
await describeEngine("containers", ({ api: docker, kind, socket }) => {
  if (kind !== "docker") {
    it("are measured on Docker", () => {});
    return;
  }

  let cluster: Cluster;
  let operator: Operator;

  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "docker", nodes: 1, args: ["--engine", socket] });
    operator = await Operator.of(cluster);
  });
  afterAll(async () => {
    await operator?.bus.close();
    await cluster?.dispose();
  });

  it.each(sizes)("$count of them", async ({ count, rounds }) => {
    const [ours, raw, swarm]: [number[], number[], number[]] = [[], [], []];
    const swarmed = await joinSwarm(docker);
    try {
      for (let round = 0; round < rounds; round++) {
        raw.push(await rawReadyMs(docker, count));
        ours.push(await swainReadyMs(operator, `bench-${count}-${round}`, count));
        if (swarmed.ok) swarm.push(await swarmRunningMs(docker, `bench-${count}-${round}`, count));
      }
    } finally {
      if (swarmed.mine) await docker.swarmLeave({ force: true });
    }
    record(group, `${count}: Swain`, "ms", ours);
    record(group, `${count}: dockerode, ${rawWidth} at a time`, "ms", raw);
    ratio(group, `${count}: rate of Swain ÷ dockerode`, raw, ours);
    if (swarm.length > 0) {
      record(group, `${count}: Docker Swarm, without ports, until running`, "ms", swarm);
      ratio(group, `${count}: rate of Swain ÷ Swarm`, swarm, ours);
    } else note(group, `${count}: no Docker Swarm: ${swarmed.why}`);
  });

  it("restarts", async () => {
    const name = "bench-restart";
    await operator.change("manifest", "apply", { documents: [web(name, { replicas: 1 })] });
    await timed(async () => (await operator.ready(name)) === 1);
    const id = async (): Promise<string> =>
      (await cluster.pods()).find((pod) => pod.spec.workload === name)?.status.containers?.[0]?.id ?? "";
    const [ours, engine]: [number[], number[]] = [[], []];
    // One pod for one kill: a pod's second restart waits for its back-off, which is not what is measured.
    for (let round = 0; round < 5; round++) {
      engine.push(await engineRestartMs(docker));
      const container = docker.getContainer(await id());
      const { State: before } = await container.inspect();
      const began = performance.now();
      await container.kill();
      await timed(async () => {
        const { State: now } = await container.inspect();
        return now.Running && now.StartedAt !== before.StartedAt;
      });
      ours.push(performance.now() - began);
      await remove(operator, name);
      await operator.change("manifest", "apply", { documents: [web(name, { replicas: 1 })] });
      await timed(async () => (await operator.ready(name)) === 1);
    }
    await remove(operator, name);
    record(restartGroup, "Swain", "ms", ours);
    record(restartGroup, "the engine's own kill, wait and start", "ms", engine);
    ratio(restartGroup, "Swain ÷ engine", ours, engine);
  });
});

async function swainReadyMs(operator: Operator, name: string, count: number): Promise<number> {
  const began = performance.now();
  await operator.change("manifest", "apply", { documents: [web(name, { replicas: count, stopGracePeriod: "0s" })] });
  await timed(async () => (await operator.ready(name)) === count);
  const ms = performance.now() - began;
  await remove(operator, name);
  return ms;
}

async function remove(operator: Operator, name: string): Promise<void> {
  await operator.change("workload", "delete", { name });
  await timed(() => operator.gone(name));
}

const withPort = {
  Image: testImage,
  Cmd: command,
  ExposedPorts: { "8080/tcp": {} },
  HostConfig: { PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
};

/** The same without an orchestrator: each container created, started, and asked at its own address until it accepts. */
async function rawReadyMs(docker: Docker, count: number): Promise<number> {
  const made: Docker.Container[] = [];
  const accepted: Promise<void>[] = [];
  const began = performance.now();
  await inParallel(count, rawWidth, async () => {
    const container = await docker.createContainer(withPort);
    made.push(container);
    await container.start();
    const { NetworkSettings } = await container.inspect();
    accepted.push(untilAccepts(NetworkSettings.Networks["bridge"]?.IPAddress ?? ""));
  });
  await Promise.all(accepted);
  const ms = performance.now() - began;
  await inParallel(made.length, rawWidth, (index) => made[index]?.remove({ force: true }) ?? Promise.resolve());
  return ms;
}

async function untilAccepts(address: string): Promise<void> {
  await timed(
    () =>
      new Promise((resolve) => {
        const socket = connect({ host: address, port: 8080 }, () => {
          socket.destroy();
          resolve(true);
        });
        socket.once("error", () => resolve(false));
      }),
  );
}

async function engineRestartMs(docker: Docker): Promise<number> {
  const container = await docker.createContainer(withPort);
  try {
    await container.start();
    const began = performance.now();
    await container.kill();
    await container.wait();
    await container.start();
    return performance.now() - began;
  } finally {
    await container.remove({ force: true });
  }
}

/** Makes this engine a swarm of one, if it is none. */
async function joinSwarm(docker: Docker): Promise<{ ok: boolean; mine: boolean; why: string }> {
  const info = (await docker.info()) as { Swarm?: { LocalNodeState?: string } };
  if (info.Swarm?.LocalNodeState === "active")
    return { ok: false, mine: false, why: "the engine is in a swarm that is not ours" };
  try {
    await docker.swarmInit({ ListenAddr: "127.0.0.1:23777", AdvertiseAddr: "127.0.0.1", ForceNewCluster: false });
    return { ok: true, mine: true, why: "" };
  } catch (error) {
    return { ok: false, mine: false, why: error instanceof Error ? error.message : String(error) };
  }
}

async function swarmRunningMs(docker: Docker, name: string, count: number): Promise<number> {
  const began = performance.now();
  const service = await docker.createService({
    Name: name,
    TaskTemplate: {
      ContainerSpec: { Image: testImage, Command: command, StopGracePeriod: 0 },
      Networks: [],
    },
    Mode: { Replicated: { Replicas: count } },
  } as Docker.CreateServiceOptions);
  const running = async (): Promise<number> => {
    const tasks = (await docker.listTasks({ filters: { service: [name] } })) as { Status?: { State?: string } }[];
    return tasks.filter((task) => task.Status?.State === "running").length;
  };
  await timed(async () => (await running()) === count);
  const ms = performance.now() - began;
  await docker.getService(service.id).remove();
  await timed(async () => {
    const left = await docker.listContainers({
      all: true,
      filters: { label: [`com.docker.swarm.service.name=${name}`] },
    });
    return left.length === 0;
  });
  return ms;
}

note(group, "Swain and dockerode wait until each container accepts connections; Swarm only until it runs");
note(
  group,
  `Swarm asks a registry for an image without a digest; without a network that costs it time it would not need`,
);
