// Fenced pods on their node: what the agent does with them while leaders answer, do not answer, and answer again.
import { beforeEach, describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import { fenceOf, graceLeft } from "../../services/agent/pod/fence.ts";
import { freshRecord } from "../../services/agent/pod/record.ts";
import { fencing } from "../../services/core/fence.ts";
import { podNamed, settle } from "../support/agent.ts";
import { PodsWorld } from "../support/agent-world.ts";

const leaseMs = 10_000;
const fenced = (more: Partial<AssignedPod> = {}): AssignedPod =>
  podNamed("db-1", { fence: { leaseMs }, stopGraceMs: 2000, ...more });
const key = "default/db-1";

describe("a fenced pod on its node", () => {
  let world: PodsWorld;
  const grant = (): void => {
    world.lease = { ...world.lease, grantedAt: world.clock.mono(), sleptAt: null };
    world.regained();
  };
  const restart = async (): Promise<void> => {
    await world.crash();
    world.lease = { grantedAt: null, adoptedAt: world.clock.mono(), sleptAt: null };
    await world.start();
  };
  /** Leaders answer for so long. */
  const answered = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await world.clock.advance(1000);
      grant();
    }
  };
  const runs = (): boolean => world.running(key).length > 0;
  const reason = (): unknown => [world.reports.get(key)?.state, world.reports.get(key)?.observed.reason];

  beforeEach(async () => {
    world = new PodsWorld();
    world.heeds = true;
    world.lease = { grantedAt: null, adoptedAt: -60_000, sleptAt: null };
    await world.start();
  });

  it("is made but not started before a leader answered, and says so after a while", async () => {
    await world.tell([fenced()]);
    await world.clock.advance(1000);
    expect(world.calls.map(({ verb }) => verb)).toEqual(["pull", "create"]);
    expect(reason()).toEqual(["starting", ""]);
    await world.clock.advance(1500);
    expect(reason()).toEqual(["starting", "FENCED"]);
    grant();
    await settle();
    expect([runs(), ...(reason() as string[])]).toEqual([true, "ready", ""]);
    expect(world.reports.get(key)?.observed.restarts).toBe(0);
  });

  it("is stopped when the lease is over, says why, keeps it in the journal, and starts again with the next one", async () => {
    grant();
    await world.tell([fenced()]);
    await world.clock.advance(leaseMs - 1);
    expect(runs()).toBe(true);
    await world.clock.advance(1);
    expect(world.calls.at(-1)).toMatchObject({ verb: "stop" });
    expect(runs()).toBe(false);
    expect(reason()).toEqual(["backoff", "FENCED"]);
    expect(world.reports.get(key)?.observed.message).toContain("No leader has answered this node for 10 s");
    await world.clock.advance(60_000);
    expect(world.disk.files.get("/data/pods.json")).toContain('"fenced":true');
    expect(runs()).toBe(false);
    grant();
    await settle();
    expect(runs()).toBe(true);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1, reason: "" } });
    await world.clock.advance(100);
    expect(world.disk.files.get("/data/pods.json")).not.toContain('"fenced":true');
  });

  it("goes on as long as leaders answer, and nothing else is touched", async () => {
    grant();
    await world.tell([fenced(), podNamed("web-2")]);
    for (let second = 0; second < 30; second++) {
      await world.clock.advance(1000);
      grant();
    }
    expect(world.calls.filter(({ verb }) => verb === "stop")).toEqual([]);
    await world.clock.advance(60_000);
    expect(runs()).toBe(false);
    expect(world.running("default/web-2")).toHaveLength(1);
  });

  it("is not started again after a crash when the lease is half over", async () => {
    grant();
    await world.tell([fenced()]);
    const crash = (): void => world.engine.kill(world.running(key)[0]?.id ?? "", 1);
    await world.clock.advance(leaseMs / 2 - 1000);
    crash();
    await settle();
    expect(runs()).toBe(true);
    await world.clock.advance(1000);
    crash();
    await world.clock.advance(60_000);
    expect(runs()).toBe(false);
    expect(reason()).toEqual(["starting", "FENCED"]);
    grant();
    await world.clock.advance(0);
    expect(runs()).toBe(true);
  });

  it("goes on for a moment under an agent that started anew, and for no moment more under the next one", async () => {
    grant();
    await world.tell([fenced()]);
    await restart();
    await world.clock.advance(fencing.adoptMs - 1);
    expect(runs()).toBe(true);
    await world.clock.advance(1);
    expect(runs()).toBe(false);
    grant();
    await world.clock.advance(100);
    expect(runs()).toBe(true);
    await restart();
    await world.clock.advance(1000);
    expect(runs()).toBe(true);
    await restart();
    expect(runs()).toBe(false);
  });

  it.each([false, true])("gains nothing by an agent that keeps starting anew, disk full: %s", async (isFull) => {
    grant();
    await world.tell([fenced()]);
    world.disk.fail = isFull;
    await world.clock.advance(leaseMs - 2000);
    for (let round = 0; round < 5; round++) {
      await restart();
      await world.clock.advance(4000);
      if (isFull || round > 0) expect(runs()).toBe(false);
    }
  });

  it("is begun anew by a start of the agent whose disk is full, as soon as a leader answers", async () => {
    grant();
    await world.tell([fenced(), podNamed("web-2")]);
    world.disk.fail = true;
    await restart();
    await world.clock.advance(500);
    expect([runs(), ...(reason() as string[])]).toEqual([false, "backoff", "FENCED"]);
    grant();
    await settle();
    expect([runs(), ...(reason() as string[])]).toEqual([true, "ready", ""]);
    expect(world.calls.filter(({ verb }) => verb === "stop")).toHaveLength(1);
  });

  it("is stopped at the end of the time of a start also while the disk neither takes the note of it nor refuses it", async () => {
    grant();
    await world.tell([fenced()]);
    const write = world.disk.writeAtomic.bind(world.disk);
    let written = (): void => {};
    world.disk.writeAtomic = (path, content) =>
      new Promise((resolve, reject) => {
        written = () => void write(path, content).then(resolve, reject);
      });
    await restart();
    await world.clock.advance(fencing.adoptMs - 1);
    expect(runs()).toBe(true);
    await world.clock.advance(bounds.leaseMs);
    expect(runs()).toBe(false);
    written();
    await world.clock.advance(60_000);
    expect(runs()).toBe(false);
    grant();
    await settle();
    expect(runs()).toBe(true);
  });

  it("is touched by no start of the agent while leaders answer", async () => {
    grant();
    await world.tell([fenced()]);
    const before = world.calls.length;
    for (let round = 0; round < 5; round++) {
      await restart();
      await world.clock.advance(500);
      grant();
      await world.clock.advance(500);
    }
    expect(world.calls.slice(before)).toEqual([]);
  });

  it("is not started by the journal alone, after a reboot or after it was stopped", async () => {
    grant();
    await world.tell([fenced()]);
    world.engine.kill(world.running(key)[0]?.id ?? "", 137);
    await restart();
    await world.clock.advance(600_000);
    expect(runs()).toBe(false);
    await world.tell([fenced()]);
    await world.clock.advance(600_000);
    expect(runs()).toBe(false);
  });

  it("goes on under another start of the agent though it runs only once: being stopped for want of a leader is no end", async () => {
    grant();
    await world.tell([fenced({ restartPolicy: "Never" })]);
    await world.clock.advance(leaseMs + 1000);
    expect(runs()).toBe(false);
    await restart();
    grant();
    await settle();
    expect(runs()).toBe(true);
  });

  it("is killed at the end of its grace, however late the stop began", async () => {
    grant();
    await world.tell([fenced({ containers: [{ name: "web", sim: { ignoreStop: true } }] })]);
    await world.clock.advance(leaseMs + 1999);
    expect(runs()).toBe(true);
    await world.clock.advance(1);
    expect(runs()).toBe(false);
    const fence = fenceOf(fenced(), freshRecord, { grantedAt: 0, adoptedAt: -60_000, sleptAt: null });
    if (fence === null) throw new Error("no fence");
    expect([10_000, 11_500, 15_000].map((now) => graceLeft(fence, 2000, now))).toEqual([2000, 500, 0]);
    const again = fenceOf(
      fenced(),
      { ...freshRecord, adoptable: false },
      { grantedAt: null, adoptedAt: 0, sleptAt: null },
    );
    expect(again === null ? null : graceLeft(again, 2000, 1)).toBe(0);
  });

  it("is stopped although a pull of another of its containers takes its time, and the pull goes on", async () => {
    const side = { name: "side", sim: { pullDelay: "60s" } };
    grant();
    await world.tell([fenced({ containers: [{ name: "web", sim: {} }, side] })]);
    await answered(61);
    // Without the journal nobody knows that this one had been started.
    world.engine.remove(world.of(key).find(({ spec }) => spec.container.name === "side")!);
    world.disk.files.delete("/data/pods.json");
    await restart();
    grant();
    const pulls = (): number => world.calls.filter(({ verb }) => verb === "pull").length;
    const before = pulls();
    await world.clock.advance(leaseMs + bounds.leaseMs + 100);
    expect([runs(), reason()]).toEqual([false, ["backoff", "FENCED"]]);
    await world.clock.advance(60_000);
    grant();
    await settle();
    expect([world.running(key).length, pulls() - before]).toEqual([2, 0]);
  });

  it("is pulled once although no leader answers meanwhile", async () => {
    grant();
    const slow = { name: "side", sim: { pullDelay: "60s" } };
    await world.tell([fenced({ containers: [slow] })]);
    await world.clock.advance(120_000);
    expect(world.calls.map(({ verb }) => verb)).toEqual(["pull", "create"]);
    grant();
    await world.tell([fenced({ containers: [slow], generation: 2 })]);
    expect(runs()).toBe(true);
  });

  /** Pods that keep every place in the engine's line for as long. */
  const crowd = (startDelay: string): AssignedPod[] =>
    Array.from({ length: bounds.startsInFlight }, (_, at) =>
      podNamed(`slow-${at}`, { containers: [{ name: "web", sim: { startDelay } }] }),
    );
  const asked = (verb: string, id: string | undefined): number[] =>
    world.calls.filter((call) => call.verb === verb && call.what === id).map(({ at }) => at);

  it("is not started when its turn in the engine's line comes after half of the lease, but by the next one", async () => {
    grant();
    await world.tell([fenced()]);
    await world.tell([...crowd("50s"), fenced()]);
    const [container] = world.running(key);
    world.engine.kill(container?.id ?? "", 1);
    await world.clock.advance(60_000);
    expect(asked("start", container?.id)).toHaveLength(1);
    expect(reason()).toEqual(["starting", "FENCED"]);
    grant();
    await settle();
    expect(runs()).toBe(true);
  });

  /** Its second container starts slowly. */
  const slowPair = (web: object, startDelay: string): AssignedPod =>
    fenced({
      containers: [
        { name: "web", sim: web },
        { name: "side", sim: { startDelay } },
      ],
    });
  const idOf = (name: string): string | undefined => world.of(key).find(({ spec }) => spec.container.name === name)?.id;

  it.each([
    ["waits in the engine's line", crowd("50s"), 0],
    ["takes long in the engine", [], 1],
  ])("is stopped in time although the start of another of its containers %s", async (_what, others, sideStarts) => {
    const pod = slowPair({ startDelay: "1s" }, "50s");
    await world.tell(others);
    await world.clock.advance(60_000);
    grant();
    const until = world.clock.mono() + leaseMs + bounds.leaseMs;
    await world.tell([...others, pod]);
    // One of them is in line while the first container starts, and goes before the second.
    for (const { id, spec } of world.engine.all()) if (spec.pod !== key) world.engine.kill(id, 1);
    await world.clock.advance(400);
    await world.clock.advance(leaseMs - 500);
    expect(world.running(key).map(({ spec }) => spec.container.name)).toEqual(["web"]);
    expect(asked("start", idOf("side"))).toHaveLength(sideStarts);
    await world.clock.advance(bounds.leaseMs + 100);
    expect(runs()).toBe(false);
    expect(reason()).toEqual(["backoff", "FENCED"]);
    expect(asked("stop", idOf("web"))).toHaveLength(1);
    expect(asked("stop", idOf("web"))[0]).toBeLessThanOrEqual(until);
    await world.clock.advance(120_000);
    expect(runs()).toBe(false);
    await answered(60);
    expect(world.running(key)).toHaveLength(2);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1, reason: "" } });
  });

  it("starts its containers in order after it was stopped, although one of them was in line all the time", async () => {
    const others = crowd("30s");
    await world.tell(others);
    await world.clock.advance(60_000);
    grant();
    await world.tell([...others, slowPair({ startDelay: "1s" }, "1s")]);
    for (const { id, spec } of world.engine.all()) if (spec.pod !== key) world.engine.kill(id, 1);
    await world.clock.advance(leaseMs + bounds.leaseMs);
    expect([asked("start", idOf("web")).length, asked("stop", idOf("web")).length]).toEqual([1, 1]);
    await answered(40);
    expect(world.running(key)).toHaveLength(2);
    const [, again] = asked("start", idOf("web"));
    expect(asked("start", idOf("side"))).toEqual([(again ?? 0) + 1000]);
  });

  it("is asked once to stop, and has not failed, when a slow start ends or a leader answers meanwhile", async () => {
    grant();
    const pod = { ...slowPair({ ignoreStop: true }, "12s"), restartPolicy: "Never" as const };
    await world.tell([pod]);
    await world.clock.advance(leaseMs + bounds.leaseMs);
    expect(asked("stop", idOf("web"))).toHaveLength(1);
    await answered(1);
    await world.clock.advance(500);
    expect(asked("stop", idOf("web"))).toHaveLength(1);
    await answered(30);
    expect(world.running(key)).toHaveLength(2);
    expect(asked("stop", idOf("web"))).toHaveLength(1);
    expect(world.reports.get(key)).toMatchObject({ state: "ready", observed: { restarts: 1 } });
  });

  it("is asked of an engine that does not answer again and again", async () => {
    grant();
    await world.tell([fenced()]);
    world.engine.down();
    await world.clock.advance(leaseMs + 30_000);
    expect(runs()).toBe(true);
    world.engine.up();
    await world.clock.advance(bounds.fenceRetryMs + 100);
    expect(runs()).toBe(false);
  });

  it.each(["told to stop", "failed for good"])("is asked of it as often where the pod was %s", async (why) => {
    const failing = { name: "side", sim: { startDelay: "1s", failStart: true } };
    const web = { name: "web", sim: { ignoreStop: true } };
    const pod = fenced({ containers: why === "told to stop" ? [web] : [web, failing], restartPolicy: "Never" });
    grant();
    await world.tell([pod]);
    await world.clock.advance(1500);
    world.engine.down();
    if (why === "told to stop") await world.tell([{ ...pod, desired: "stop" }]);
    await world.clock.advance(leaseMs + 60_000);
    expect(runs()).toBe(true);
    world.engine.up();
    await world.clock.advance(bounds.fenceRetryMs + 100);
    expect(runs()).toBe(false);
    await world.clock.advance(20_000);
    expect(reason()).toEqual(why === "told to stop" ? ["stopped", "STOPPED"] : ["failed", "COMMAND_NOT_FOUND"]);
  });
});
