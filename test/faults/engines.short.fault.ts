// Containers that end behind the agent's back, and one that takes more memory than it may, on Docker and on Podman.
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import { EngineProxy } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { web } from "../support/manifests.ts";
import { containersOf } from "./containers.ts";
import { after, describeEngineFaults, FaultWorld, seen, untouched } from "./world.ts";

await describeEngineFaults("containers", suite);

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

  it("has containers killed and removed behind its back", { timeout: 120_000 }, async () => {
    const promise = "Each is made anew in place; nothing else is touched.";
    const fault = "One container killed, one removed behind the agent's back";
    const is = await world.run({ fault, promise }, async (run) => {
      run.keepChanging([7, 6], 1500);
      await run.onset();
      const found = await containersOf(world.cluster, engine, "tally");
      run.fault();
      const ways = [
        (id: string): Promise<unknown> => engine.api.getContainer(id).kill(),
        (id: string): Promise<unknown> => engine.api.getContainer(id).remove({ force: true }),
      ];
      for (const pod of run.victims([...found.keys()], found.size)) {
        const { id, pid } = found.get(pod) ?? { id: "", pid: 0 };
        // One that the rollout has ended meanwhile is no victim.
        const isHit = await ways[0]?.(id).then(
          () => true,
          () => false,
        );
        if (isHit !== true) continue;
        run.hit(pid);
        ways.shift();
      }
      expect(ways).toEqual([]);
      run.mended();
      await after(2000);
    });
    expect(is).toMatchObject(untouched);
    seen(is, { silenceMs: 2500, convergedMs: 20_000 });
  });

  it("has a container that takes more memory than it may", { timeout: 120_000 }, async () => {
    const promise = "It is started again and its end is said as OOM_KILLED; nothing else is touched.";
    const command = ["sh", "-c", "while [ ! -f /go ]; do sleep 0.1; done; rm /go; exec tail /dev/zero"];
    const hog = { command, ports: [], resources: { limits: { memory: "16Mi" } } };
    expect((await world.cluster.apply([web("hog", { replicas: 1 }, hog)], "--wait")).code).toBe(0);
    const is = await world.run({ fault: "A container killed for want of memory", promise }, async (run) => {
      run.keepChanging([7, 6], 1500);
      await run.onset();
      const [victim] = (await containersOf(world.cluster, engine, "hog")).values();
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
}
