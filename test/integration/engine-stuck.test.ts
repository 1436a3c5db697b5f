// A container that an engine says nothing about while it answers all else, as one whose start waits for a dead volume.
import { afterEach, beforeEach, expect, it } from "vitest";
import type { AssignedPod, PodReport } from "../../schemas/generated/types.ts";
import { newMeter } from "../../services/agent/figures.ts";
import { Pods } from "../../services/agent/pods.ts";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import type { Driver } from "../../services/agent/runtime/driver.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { codeOf } from "../conformance/driver-support.ts";
import { MemoryDisk, podNamed } from "../support/agent.ts";
import { until } from "../support/cluster.ts";
import { FakeEngine } from "../support/fake-engine.ts";

/** Twenty times as fast as the machine's. */
const fast: Clock = {
  wall: () => Date.now(),
  mono: () => systemClock.mono() * 20,
  after: (ms, fn) => systemClock.after(ms / 20, fn),
  every: (ms, fn) => systemClock.every(ms / 20, fn),
};

const identity = { clusterUid: "0123456789abcdef", node: "n1" };

let engine: FakeEngine;
let driver: Driver;
let pods: Pods;
let reports: Map<string, PodReport>;
/** What the node said of its engine whenever it was asked. */
let troubles: Set<string | undefined>;

beforeEach(async () => {
  engine = new FakeEngine();
  await engine.open();
  reports = new Map();
  troubles = new Set();
  const parts = { clock: fast, sockets: systemSockets, log: silent };
  driver = createDockerDriver({ identity: () => identity, socket: engine.socket, ...parts });
  const unused = (): never => {
    throw new Error("not part of this world");
  };
  const ports = {
    clock: fast,
    ids: { next: () => "boot" },
    random: { next: () => 0.5 },
    disk: new MemoryDisk(),
    log: silent,
    prober: { rechecks: false, check: unused },
    meter: newMeter(),
    openDriver: unused,
    machineUsage: null,
  };
  const hooks = {
    onReport: (key: string, report: PodReport) => {
      reports.set(key, report);
      troubles.add(pods.engineTrouble()?.code);
    },
    onEngine: () => {},
    saveSoon: () => {},
    save: () => Promise.resolve(true),
    lease: () => ({ grantedAt: null, adoptedAt: -Infinity, sleptAt: null }),
  };
  pods = new Pods(ports, driver, { ...identity, cluster: "test", advertise: "127.0.0.1" }, hooks, new Map());
  pods.start();
});
afterEach(async () => {
  await pods.close();
  await driver.close();
  await engine.close();
});

const imagePod = (name: string, more: Partial<AssignedPod> = {}): AssignedPod =>
  podNamed(name, { containers: [{ name: "main", image: "busybox:stable" }], ...more });

const take = (...assigned: readonly AssignedPod[]): void =>
  pods.take(new Map(assigned.map((pod) => [`${pod.namespace}/${pod.name}`, pod])), true);

const says = (key: string) => ({ state: reports.get(key)?.state, reason: reports.get(key)?.observed.reason });

const stuck = { state: "backoff", reason: "CONTAINER_STUCK" };

it("holds up no other, and says so by itself until it goes on", { timeout: 60_000 }, async () => {
  engine.stuck.add("default/hung-1");
  take(imagePod("hung-1"), imagePod("web-1"));
  await until("the other runs", async () => reports.get("default/web-1")?.state === "ready");
  await until("it says why it does not", async () => reports.get("default/hung-1")?.state === "backoff", 20_000);
  expect(says("default/hung-1")).toEqual(stuck);
  expect(reports.get("default/hung-1")?.observed.message).toMatch(
    /^start c\d: no answer within 60 s, though the container engine answers others$/,
  );
  // The list, too, is made without it, and what it brings is heeded.
  const { id } = engine.of("default/hung-1") ?? { id: "" };
  expect(await driver.list()).toContainEqual({
    id,
    pod: "default/hung-1",
    name: "main",
    state: "created",
    oomKilled: false,
    ports: [],
  });
  engine.end("default/web-1", 1);
  await until("the other is started again", async () => engine.of("default/web-1")?.starts === 2);
  expect([...troubles]).toEqual([undefined]);
  expect(says("default/hung-1")).toEqual(stuck);

  engine.stuck.clear();
  await until("it runs", async () => reports.get("default/hung-1")?.state === "ready", 20_000);
  expect([...troubles]).toEqual([undefined]);
});

it("that runs once is not run again where its start went through unheard", { timeout: 60_000 }, async () => {
  engine.stuck.add("default/once-1");
  take(imagePod("once-1", { restartPolicy: "Never" }));
  await until("it is stuck", async () => reports.get("default/once-1")?.observed.reason === "CONTAINER_STUCK", 20_000);
  engine.stuck.clear();
  engine.end("default/once-1", 0);
  await until("it is seen", async () => reports.get("default/once-1")?.state === "stopped", 20_000);
  expect(says("default/once-1")).toEqual({ state: "stopped", reason: "COMPLETED" });
  expect(engine.of("default/once-1")?.starts).toBe(1);
});

it("is said to be left by an agent that is to stop its pods", { timeout: 60_000 }, async () => {
  engine.stuck.add("default/hung-1");
  take(imagePod("hung-1"));
  await until("it is stuck", async () => reports.get("default/hung-1")?.observed.reason === "CONTAINER_STUCK", 20_000);
  await expect(pods.stopAll()).rejects.toMatchObject({ code: "PODS_LEFT" });
});

it("leaves the others their figures; an engine that answers nothing is unreachable", { timeout: 60_000 }, async () => {
  take(imagePod("web-1"), imagePod("hung-1"));
  await until("both run", async () => [...reports.values()].filter(({ state }) => state === "ready").length === 2);
  const [web = "", hung = ""] = ["default/web-1", "default/hung-1"].map((pod) => engine.of(pod)?.id);
  engine.stuck.add("default/hung-1");
  expect([...(await driver.usage([hung, web])).keys()]).toEqual([web]);
  expect(await codeOf(driver.inspect(hung))).toBe("CONTAINER_STUCK");
  expect(await codeOf(driver.stop(hung, 0))).toBe("CONTAINER_STUCK");
  engine.frozen = true;
  expect(await codeOf(driver.inspect(hung))).toBe("ENGINE_UNREACHABLE");
  expect(await codeOf(driver.list())).toBe("ENGINE_UNREACHABLE");
});
