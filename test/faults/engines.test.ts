// Faults of containers and their engine, on Docker and on Podman.
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeEngine, EngineProxy, testImage } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { until } from "../support/cluster.ts";
import { startPodman } from "../support/podman.ts";
import type { PodmanService } from "../support/podman.ts";
import { web } from "../support/manifests.ts";
import { Dockerd } from "./dockerd.ts";
import { after, all, FaultWorld, seen, untouched } from "./world.ts";

await describeEngine("containers", suite, all ? ["docker", "podman"] : ["docker"]);

function suite(engine: TestEngine): void {
  let world: FaultWorld;
  let way: EngineProxy;

  beforeAll(async () => {
    way = new EngineProxy(engine);
    await way.heal();
    world = await FaultWorld.open(engine.natsServer, { engine: { name: engine.name, socket: way.socket } });
  });
  afterAll(async () => {
    await way.heal();
    await world?.dispose();
    await way.close();
  });

  /** The container of each pod of this workload, and its process. */
  const containers = async (workload: string): Promise<Map<string, { id: string; pid: number }>> => {
    const pods = (await world.cluster.pods()).filter(({ spec }) => spec.workload === workload);
    const ids = pods.flatMap(({ metadata, status }) =>
      (status.containers ?? []).map(({ id }) => [metadata.name, id] as const),
    );
    const inspected = ids.map(async ([pod, id]) => {
      const { Pid: pid } = (await engine.api.getContainer(id).inspect()).State;
      return [pod, { id, pid }] as const;
    });
    return new Map(await Promise.all(inspected));
  };

  it("has containers killed and removed behind its back", { timeout: 120_000 }, async () => {
    const promise = "Each is made anew in place; nothing else is touched.";
    const fault = "One container killed, one removed behind the agent's back";
    const is = await world.run({ fault, promise }, async (run) => {
      run.keepChanging([7, 6], 1500);
      await run.onset();
      const found = await containers("tally");
      const [killed, removed] = run.victims([...found.keys()], 2).map((pod) => found.get(pod));
      if (killed === undefined || removed === undefined) throw new Error("there are no two containers");
      run.fault([killed.pid, removed.pid]);
      await engine.api.getContainer(killed.id).kill();
      await engine.api.getContainer(removed.id).remove({ force: true });
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 2500, convergedMs: 20_000 });
  });

  if (!all) return;

  it("has a container that takes more memory than it may", { timeout: 120_000 }, async () => {
    const promise = "It is started again and its end is said as OOM_KILLED; nothing else is touched.";
    const command = ["sh", "-c", "while [ ! -f /go ]; do sleep 0.1; done; rm /go; exec tail /dev/zero"];
    const hog = { command, ports: [], resources: { limits: { memory: "16Mi" } } };
    expect((await world.cluster.apply([web("hog", { replicas: 1 }, hog)], "--wait")).code).toBe(0);
    const is = await world.run({ fault: "A container killed for want of memory", promise }, async (run) => {
      run.keepChanging([7, 6], 1500);
      await run.onset();
      const [victim] = (await containers("hog")).values();
      if (victim === undefined) throw new Error("there is no container");
      run.fault();
      const exec = await engine.api.getContainer(victim.id).exec({ Cmd: ["touch", "/go"] });
      await exec.start({ Detach: true });
      await until("its end is told", async () => (await world.cluster.ok("events", "-A")).includes("OOM_KILLED"));
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1500, convergedMs: 20_000 });
    await until("it runs again", async () => {
      const pod = (await world.cluster.pods()).find(({ spec }) => spec.workload === "hog");
      return pod?.status.state === "ready" && pod.status.restarts > 0;
    });
    await world.cluster.ok("delete", "workload/hog", "--wait");
  });

  it.each([
    ["does not answer", async (): Promise<void> => way.freeze()],
    ["is not there", (): Promise<void> => way.cut()],
  ])("has an engine that %s for 10 s", { timeout: 180_000 }, async (what, breakIt) => {
    const promise = "Containers and proxies go on; changes are made when the engine is back.";
    const is = await world.run({ fault: `The engine ${what} for 10 s`, promise }, async (run) => {
      run.keepChanging([8, 5, 6], 1500);
      await run.onset();
      run.fault();
      await breakIt();
      await after(10_000);
      await way.cut();
      await way.heal();
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 1500, convergedMs: 60_000 });
  });

  if (engine.kind === "podman") {
    it.each([
      ["frozen for 10 s (SIGSTOP)", (podman: PodmanService): Promise<void> => podman.freeze(10_000)],
      ["killed (kill -9) and started anew", (podman: PodmanService): Promise<void> => podman.restart()],
    ])("has the service of Podman %s", { timeout: 300_000 }, async (what, breakIt) => {
      const podman = await startPodman(testImage);
      let own: FaultWorld | undefined;
      try {
        own = await FaultWorld.open(engine.natsServer, { engine: { name: engine.name, socket: podman.socket } });
        const promise = "Containers and proxies go on; changes are made when the engine is back.";
        const is = await own.run({ fault: `Podman's service ${what}`, promise }, async (run) => {
          run.keepChanging([8, 5, 6], 1500);
          await run.onset();
          run.fault();
          await breakIt(podman);
          run.mended();
          await after(2000);
        });
        expect(is).toMatchObject(untouched);
        seen(is, { silenceMs: 1500, convergedMs: 60_000 });
      } finally {
        await own?.dispose();
        podman.stop();
      }
    });
    return;
  }

  it("has its dockerd stand still and start anew", { timeout: 300_000 }, async () => {
    const dockerd = await Dockerd.start(engine.api);
    const own = await FaultWorld.open(engine.natsServer, { engine: { name: engine.name, socket: dockerd.socket } });
    try {
      const stands = "Containers and proxies go on; changes are made when the engine is back.";
      const frozen = await own.run({ fault: "dockerd frozen for 10 s (SIGSTOP)", promise: stands }, async (run) => {
        run.keepChanging([8, 5, 6], 1500);
        await run.onset();
        run.fault();
        await dockerd.freeze(10_000);
        run.mended();
        await after(2000);
      });
      expect(frozen).toMatchObject(untouched);
      seen(frozen, { silenceMs: 1500, convergedMs: 60_000 });
      const ends = "All containers end with dockerd and are started again in place, none twice.";
      const restarted = await own.run(
        { fault: "dockerd restarted, its containers ended", promise: ends },
        async (run) => {
          run.keepChanging([7, 6], 1500);
          await run.onset();
          run.fault(own.programs());
          await dockerd.restart();
          run.mended();
          await after(2000);
        },
      );
      expect(restarted).toMatchObject({ lost: 0, doubled: 0, stale: 0, replaced: 0 });
      seen(restarted, { silenceMs: 30_000, convergedMs: 60_000 });
    } finally {
      await own.dispose();
      await dockerd.dispose();
    }
  });
}
