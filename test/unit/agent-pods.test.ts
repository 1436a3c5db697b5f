import { beforeEach, describe, expect, it } from "vitest";
import type { AssignedPod, Container } from "../../schemas/generated/types.ts";
import { nodeAssignment } from "../../services/core/assignment.ts";
import { httpPort, podNamed } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const simPod = (name: string, sim: NonNullable<Container["sim"]>, more: Partial<AssignedPod> = {}): AssignedPod =>
  podNamed(name, { containers: [{ name: "web", sim, ports: httpPort }], ...more });

let world: PodsWorld;
beforeEach(async () => {
  world = new PodsWorld();
  await world.start();
});

const key = "default/web-1";
/** Lets time pass until it is so. */
const until = async (isSo: () => boolean): Promise<void> => {
  for (let second = 0; second < 60 && !isSo(); second++) await world.clock.advance(1000);
  expect(isSo()).toBe(true);
};

const only = () => {
  const [container] = world.of(key);
  if (container === undefined) throw new Error("no container");
  return container;
};

describe("the pods of a node", () => {
  it("come up with their ports and say so", async () => {
    await world.tell([simPod("web-1", {})]);
    expect(world.reports.get(key)).toMatchObject({
      state: "ready",
      observed: {
        restarts: 0,
        containers: [{ name: "web", id: only().id }],
        addresses: [{ name: "http", containerPort: 80, host: "10.0.0.1", local: "sim", localPort: 80 }],
      },
    });
  });

  it("are left alone once they are up, without a timer", async () => {
    await world.tell([simPod("web-1", {})]);
    await world.clock.advance(100);
    const timers = world.clock.pending;
    const calls = world.calls.length;
    await world.clock.advance(600_000);
    expect(world.calls).toHaveLength(calls);
    // The listing of the engine is the one that stays.
    expect(timers).toBe(1);
  });

  it("say pulling and starting while that takes time, and running until the port answers", async () => {
    await world.tell([simPod("web-1", { pullDelay: "2s", startDelay: "2s", readyDelay: "3s" })]);
    expect(world.state(key)).toBe("pulling");
    await world.clock.advance(2100);
    expect(world.state(key)).toBe("starting");
    await world.clock.advance(2100);
    expect(world.reports.get(key)).toMatchObject({ state: "running" });
    await world.clock.advance(1500);
    expect(world.reports.get(key)).toMatchObject({ state: "running", observed: { reason: "NOT_READY" } });
    await world.clock.advance(2000);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { reason: "" } });
  });

  it("tell in their message how far a long pull is, and nothing of it afterwards", async () => {
    await world.tell([simPod("web-1", { pullDelay: "10s", startDelay: "2s" })]);
    expect(world.reports.get(key)).toMatchObject({ state: "pulling", observed: { message: "" } });
    await world.clock.advance(5100);
    expect(world.reports.get(key)).toMatchObject({
      state: "pulling",
      observed: { reason: "", message: "pulling: 5000 of 10000 ms" },
    });
    await world.clock.advance(5100);
    expect(world.reports.get(key)).toMatchObject({ state: "starting", observed: { message: "" } });
  });

  it("are started again at once when they crash, in the same container", async () => {
    await world.tell([simPod("web-1", {})]);
    const { id } = only();
    world.engine.kill(id, 1);
    await world.clock.advance(0);
    expect(only()).toMatchObject({ id, state: "running" });
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1, exitCode: 1 } });
    expect(world.calls.filter(({ verb }) => verb === "start").map(({ at }) => at)).toEqual([1000, 1000]);
  });

  it("that keep crashing are started after 0, 1, 2, 4 … s", async () => {
    await world.tell([simPod("web-1", { exitAfter: "10ms", exitCode: 7 })]);
    await world.clock.advance(16_000);
    const starts = world.calls.filter(({ verb }) => verb === "start").map(({ at }) => at);
    const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
    expect(gaps).toEqual([10, 1010, 2010, 4010, 8010]);
    expect(world.reports.get(key)).toMatchObject({ state: "backoff", observed: { reason: "EXITED", exitCode: 7 } });
  });

  it("say IMAGE_NOT_FOUND and COMMAND_NOT_FOUND as failed, once for all tries", async () => {
    await world.tell([simPod("web-1", { failPull: true }), simPod("web-2", { failStart: true })]);
    await world.clock.advance(30_000);
    expect(world.reports.get(key)).toMatchObject({ state: "failed", observed: { reason: "IMAGE_NOT_FOUND" } });
    expect(world.reports.get("default/web-2")).toMatchObject({ observed: { reason: "COMMAND_NOT_FOUND" } });
    expect(world.said.get(key)).toEqual(["pulling", "failed"]);
    expect(world.calls.filter(({ verb }) => verb === "pull").length).toBeGreaterThan(4);
  });

  it("stop with their grace period, are removed, and say stopped", async () => {
    const pod = simPod("web-1", { ignoreStop: true }, { stopGraceMs: 3000 });
    await world.tell([pod]);
    await world.tell([{ ...pod, desired: "stop", generation: 2 }]);
    await world.clock.advance(2999);
    expect(world.running(key)).toHaveLength(1);
    await world.clock.advance(2);
    expect(world.of(key)).toEqual([]);
    expect(world.reports.get(key)).toMatchObject({ state: "stopped", observed: { reason: "STOPPED" } });
  });

  it("say stopped again at every full sync that still lists them", async () => {
    const pod = simPod("web-1", {}, { desired: "stop" });
    await world.tell([pod]);
    expect(world.said.get(key)).toEqual(["stopped"]);
    await world.tell([pod]);
    expect(world.said.get(key)).toEqual(["stopped", "stopped"]);
    await world.tell([pod], false);
    expect(world.said.get(key)).toHaveLength(2);
  });

  it("break off a pull when they are not wanted any more", async () => {
    const pod = simPod("web-1", { pullDelay: "1h" });
    await world.tell([pod]);
    await world.tell([{ ...pod, desired: "stop", generation: 2 }]);
    await world.clock.advance(1);
    expect(world.state(key)).toBe("stopped");
  });

  it("share the network of their first container and start after it", async () => {
    const containers = [
      { name: "web", sim: {}, ports: httpPort },
      { name: "side", sim: {} },
    ];
    await world.tell([podNamed("web-1", { containers })]);
    const [web, side] = world.of(key);
    expect(side?.spec.joinNetworkOf).toBe(web?.id);
    expect(web?.spec.podPorts).toEqual(httpPort);
    expect(world.calls.map(({ verb }) => verb)).toEqual(["pull", "pull", "create", "create", "start", "start"]);
    world.engine.kill(side?.id ?? "", 1);
    await world.clock.advance(1);
    expect(world.running(key)).toHaveLength(2);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1 } });
  });

  it("are made again when somebody removed their container", async () => {
    await world.tell([simPod("web-1", {})]);
    world.engine.remove(only());
    await world.clock.advance(1);
    expect(world.running(key)).toHaveLength(1);
    expect(world.reports.get(key)?.observed.restarts).toBe(1);
  });

  it("are removed when a full sync does not have them, but not before one", async () => {
    await world.tell([simPod("web-1", {})]);
    await world.crash();
    world.disk.files.clear();
    await world.start();
    await world.tell([], false);
    await world.clock.advance(120_000);
    expect(world.running(key)).toHaveLength(1);
    await world.tell([], true);
    await world.clock.advance(1);
    expect(world.of(key)).toEqual([]);
  });

  it("that are stopped with the agent leave nothing behind", async () => {
    await world.tell([simPod("web-1", {}), simPod("web-2", {})]);
    const stopping = world.stopAll();
    await world.clock.advance(1000);
    await stopping;
    expect(world.engine.all()).toEqual([]);
  });

  it("have their grace period when they are stopped with the agent, but no longer than it may take", async () => {
    await world.tell([simPod("web-1", { ignoreStop: true }, { stopGraceMs: 90_000 })]);
    await world.tell([
      simPod("web-1", { ignoreStop: true }, { stopGraceMs: 90_000, desired: "stop", generation: 2 }),
      simPod("web-2", { ignoreStop: true }, { stopGraceMs: 90_000 }),
      simPod("web-3", { ignoreStop: true }, { stopGraceMs: 40_000 }),
    ]);
    const running = (): string[] =>
      ["web-1", "web-2", "web-3"].filter((name) => world.running(`default/${name}`).length > 0);
    const stopping = world.stopAll();
    await world.clock.advance(39_500);
    expect(running()).toEqual(["web-1", "web-2", "web-3"]);
    await world.clock.advance(1000);
    expect(running()).toEqual(["web-1", "web-2"]);
    await world.clock.advance(5000);
    expect(running()).toEqual([]);
    await world.clock.advance(10_000);
    await stopping;
  });

  it("are said to run on when they cannot be stopped with the agent", async () => {
    await world.tell([simPod("web-1", {})]);
    world.engine.down();
    const stopping = expect(world.stopAll()).rejects.toMatchObject({
      code: "PODS_LEFT",
      message: expect.stringContaining(key) as string,
    });
    await world.clock.advance(60_000);
    await stopping;
  });
});

describe("an agent that ended and is started again", () => {
  it("touches no healthy container and says the same as before", async () => {
    await world.tell([simPod("web-1", {}), simPod("web-2", {})]);
    world.engine.kill(only().id, 1);
    await world.clock.advance(1000);
    const before = world.reports.get(key);
    await world.crash();
    world.reports.clear();
    world.said.clear();
    const calls = world.calls.length;
    await world.start();
    expect(world.calls).toHaveLength(calls);
    expect(world.reports.get(key)).toEqual(before);
    expect(before?.observed.restarts).toBe(1);
    expect(world.said.get(key)).toEqual(["ready"]);
  });

  it("tells a pod's ports as soon as the engine does, where it could not describe the container at first", async () => {
    await world.tell([simPod("web-1", {})]);
    await world.crash();
    const { ports } = only();
    only().ports = [];
    world.reports.clear();
    await world.start();
    expect(world.reports.get(key)?.observed.addresses ?? []).toEqual([]);
    only().ports = ports;
    await world.clock.advance(80_000);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { addresses: [{ name: "http" }] } });
  });

  it("starts what crashed meanwhile, and keeps pods running without being told again", async () => {
    await world.tell([simPod("web-1", {})]);
    await world.clock.advance(100);
    await world.crash();
    world.engine.kill(only().id, 3);
    await world.start();
    expect(world.running(key)).toHaveLength(1);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1, exitCode: 3 } });
  });

  it.each(["Never", "OnFailure"] as const)(
    "and finds nothing, for its machine was set up anew, does not run again what the log says has ended (%s)",
    async (restartPolicy) => {
      const cluster = new TestCluster({ n1: {} });
      const containers = [{ name: "main", sim: { exitAfter: "1s", exitCode: 0 } }];
      cluster.apply(workloadManifest("job", { replicas: 1, restartPolicy, containers }));
      await world.tell(nodeAssignment(cluster.state, "n1"));
      await world.clock.advance(5000);
      expect(world.reports.get("default/job-1")).toMatchObject({ state: "stopped" });
      cluster.report("default/job-1", "stopped", { reason: "COMPLETED" });
      const told = nodeAssignment(cluster.state, "n1");

      const anew = new PodsWorld();
      await anew.start();
      await anew.tell(told);
      await anew.clock.advance(5000);
      expect(anew.calls).toEqual([]);
      expect(anew.said.size).toBe(0);
      // It can still be told to go.
      await anew.tell(told.map((pod) => ({ ...pod, generation: pod.generation + 1, desired: "stop" as const })));
      expect(anew.said.get("default/job-1")).toEqual(["stopped"]);
    },
  );

  it("does not run a finished pod again", async () => {
    await world.tell([simPod("web-1", { exitAfter: "1s" }, { restartPolicy: "OnFailure" })]);
    await world.clock.advance(2000);
    expect(world.reports.get(key)).toMatchObject({ state: "stopped", observed: { reason: "COMPLETED" } });
    await world.crash();
    const calls = world.calls.length;
    await world.start();
    await world.clock.advance(60_000);
    expect(world.calls).toHaveLength(calls);
    expect(world.reports.get(key)).toMatchObject({ state: "stopped", observed: { reason: "COMPLETED" } });
  });

  it.each([
    ["Never", 0, "stopped"],
    ["Never", 3, "failed"],
    ["OnFailure", 0, "stopped"],
  ] as const)(
    "does not run a pod again whose start it could not write down (%s, %i)",
    async (restartPolicy, exitCode, state) => {
      await world.tell([
        simPod("web-1", { pullDelay: "5s", exitAfter: "1s", exitCode }, { restartPolicy }),
        simPod("web-2", {}),
      ]);
      await world.clock.advance(1000);
      expect(world.disk.files.get("/data/pods.json")).toContain(key);
      world.disk.fail = true;
      await world.clock.advance(20_000);
      expect(world.state(key)).toBe(state);
      await world.crash();
      world.disk.fail = false;
      world.reports.clear();
      await world.start();
      await world.clock.advance(600_000);
      expect([only().runs, world.state(key)]).toEqual([1, state]);
    },
  );
});

describe("an engine that does not answer", () => {
  it("changes nothing of what was said, and everything is looked at when it returns", async () => {
    await world.tell([simPod("web-1", {})]);
    world.engine.down();
    world.engine.kill(only().id, 1);
    await world.clock.advance(30_000);
    expect(world.state(key)).toBe("ready");
    world.engine.up();
    await world.clock.advance(10_000);
    expect(world.running(key)).toHaveLength(1);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1 } });
  });

  it("deletes nothing, also when a sync says so meanwhile", async () => {
    await world.tell([simPod("web-1", {})]);
    world.engine.down();
    await world.tell([]);
    await world.clock.advance(60_000);
    expect(world.running(key)).toHaveLength(1);
    world.engine.up();
    await world.clock.advance(15_000);
    expect(world.of(key)).toEqual([]);
  });

  it("is the reason a new pod does not start, and it starts when the engine is back", async () => {
    world.engine.down();
    await world.tell([simPod("web-1", {})]);
    expect(world.reports.get(key)).toMatchObject({ state: "pulling", observed: { reason: "ENGINE_UNREACHABLE" } });
    await world.clock.advance(60_000);
    expect(world.calls.length).toBeLessThan(3);
    world.engine.up();
    await world.clock.advance(15_000);
    expect(world.state(key)).toBe("ready");
  });

  it.each([
    ["had started it", "Never", 0, "stopped"],
    ["had started it", "Never", 3, "failed"],
    ["had started it", "OnFailure", 0, "stopped"],
    ["had not started it", "Never", 0, "stopped"],
  ] as const)("and %s runs a pod once (%s, exit code %i)", async (what, restartPolicy, exitCode, state) => {
    await world.tell([simPod("web-1", { startDelay: "3s", exitAfter: "2s", exitCode }, { restartPolicy })]);
    await world.clock.advance(1000);
    const container = only();
    if (what === "had started it") world.engine.run(container);
    world.engine.down();
    await world.clock.advance(10_000);
    world.engine.up();
    await world.clock.advance(60_000);
    expect([container.runs, world.state(key)]).toEqual([1, state]);
  });

  it("has not run what was in line for it, though that is not there any more", async () => {
    const slow = [2, 3, 4, 5].map((at) => simPod(`web-${at}`, { startDelay: "10s" }));
    const pods = [...slow, simPod("web-1", { startDelay: "10s", exitAfter: "1s" }, { restartPolicy: "Never" })];
    await world.tell(slow);
    await world.clock.advance(20_000);
    await world.tell(pods);
    world.engine.powerCut();
    await world.crash();
    await world.start();
    const starts = world.calls.filter(({ verb, what }) => verb === "start" && what === only().id);
    expect([only().state, starts.length]).toEqual(["created", 1]);
    world.engine.down();
    await world.tell([...pods, simPod("web-6", {})]);
    await world.clock.advance(15_000);
    world.engine.remove(only());
    world.engine.up();
    await world.clock.advance(60_000);
    expect([world.state(key), only().runs]).toEqual(["stopped", 1]);
  });

  it("does not make an end of a run count twice when the start after it is not known to be done", async () => {
    const sim = { startDelay: "3s", exitAfter: "1s", exitCode: 1 };
    await world.tell([simPod("web-1", sim, { restartPolicy: "OnFailure" })]);
    await until(() => only().runs === 1 && only().state === "exited");
    await world.clock.advance(1000);
    world.engine.down();
    await world.clock.advance(10_000);
    world.engine.up();
    await until(() => only().runs === 2);
    expect(world.reports.get(key)?.observed.restarts).toBe(1);
  });

  it("is told to the leader once it lasts, and no more as soon as it is over", async () => {
    await world.tell([simPod("web-1", {})]);
    world.engine.down();
    await world.tell([simPod("web-1", {}), simPod("web-2", {})]);
    await world.clock.advance(4900);
    expect(world.trouble).toBeUndefined();
    await world.clock.advance(200);
    expect(world.trouble).toBe("ENGINE_UNREACHABLE");
    world.engine.up();
    await world.clock.advance(15_000);
    expect(world.trouble).toBeUndefined();
    world.engine.down();
    await world.tell([simPod("web-3", {})]);
    await world.clock.advance(4000);
    expect(world.trouble).toBeUndefined();
  });

  it("at the agent's own start keeps it quiet about pods that may run", async () => {
    await world.tell([simPod("web-1", {})]);
    await world.clock.advance(100);
    await world.crash();
    world.said.clear();
    world.engine.down();
    await world.start();
    await world.tell([simPod("web-1", {}), simPod("web-2", {})]);
    await world.clock.advance(5000);
    expect(world.said.get(key)).toBeUndefined();
    expect(world.reports.get("default/web-2")).toMatchObject({ observed: { reason: "ENGINE_UNREACHABLE" } });
    world.engine.up();
    await world.clock.advance(15_000);
    expect(world.said.get(key)).toEqual(["ready"]);
    expect(world.state("default/web-2")).toBe("ready");
  });
});
