// What is made of containers that ended while their engine was away: it may have ended them itself as it went down.
import { afterEach, beforeEach, expect, it } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import type { ContainerInfo, Driver } from "../../services/agent/runtime/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { newCluster, specOf } from "../conformance/driver-support.ts";
import { until } from "../support/cluster.ts";
import { FakeEngine } from "../support/fake-engine.ts";

let engine: FakeEngine;
let driver: Driver;
/** How often the engine's events stood anew, and what was told of containers. */
let resyncs: number;
let changed: string[];

beforeEach(async () => {
  engine = new FakeEngine();
  const identity = { clusterUid: newCluster(), node: "n1" };
  const parts = { clock: systemClock, sockets: systemSockets, log: silent };
  driver = createDockerDriver({ identity: () => identity, socket: engine.socket, ...parts });
  resyncs = 0;
  changed = [];
});
afterEach(async () => {
  await driver.close();
  await engine.close();
});

const open = async (): Promise<void> => {
  await engine.open();
  const before = resyncs;
  if (before === 0) driver.watch({ onChange: (id) => void changed.push(id), onResync: () => void (resyncs += 1) });
  await until("its events are heard", async () => resyncs > before);
};

/** The id and pod of a container that runs. */
const runs = async (): Promise<ContainerInfo> => driver.start(await driver.create(specOf({ image: "busybox:stable" })));

const exitCodes = async (of: readonly ContainerInfo[]): Promise<(number | null | undefined)[]> => {
  const found = new Map((await driver.list()).map(({ id, exitCode }) => [id, exitCode]));
  return of.map(({ id }) => found.get(id));
};

it("an end with 0 while the engine was away counts as one that nobody saw", async () => {
  await open();
  const [before, ended, failed, after] = [await runs(), await runs(), await runs(), await runs()];
  changed = [];
  engine.end(before.pod, 0);
  await until("it is told", async () => changed.includes(before.id));
  expect((await driver.inspect(before.id))?.exitCode).toBe(0);
  await engine.leave();
  engine.end(ended.pod, 0);
  engine.end(failed.pod, 3);
  await open();
  engine.end(after.pod, 0);
  expect(await exitCodes([before, ended, failed, after])).toEqual([0, null, 3, 0]);
  // Also when it goes again.
  await engine.leave();
  await open();
  expect(await exitCodes([before, ended, failed, after])).toEqual([0, null, 3, 0]);
});

it("not so where the engine leaves its containers running", async () => {
  engine.liveRestore = true;
  await open();
  const ended = await runs();
  await engine.leave();
  engine.end(ended.pod, 0);
  engine.liveRestore = false;
  await open();
  const stopped = await runs();
  expect(await exitCodes([ended])).toEqual([0]);
  await engine.leave();
  engine.end(stopped.pod, 0);
  await open();
  expect(await exitCodes([ended, stopped])).toEqual([0, null]);
});
