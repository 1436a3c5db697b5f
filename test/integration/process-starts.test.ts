// Starts of processes, and what others see of them meanwhile.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";
import { specOf, Stage } from "../conformance/driver-support.ts";
import { Cgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";

const data = mkdtempSync(join(tmpdir(), "swain-starts-"));
const cgroups = new Cgroups(systemClock, {}, []);
const idle: Program = { process: { command: ["/bin/sh", "-c", "exec sleep 1000"] } };

const stage = new Stage({
  makeDriver: (identity) =>
    createProcessDriver({ data, identity, clock: systemClock, sockets: systemSockets, cgroups }),
  capabilities: {} as DriverFixture["capabilities"],
});
afterEach(() => stage.clear());
afterAll(() => rmSync(data, { recursive: true, force: true }));

it("a process starts also while somebody looks at it", async () => {
  const driver = stage.driver();
  const states: string[] = [];
  for (let time = 0; time < 30; time += 1) {
    const id = await driver.create(specOf(idle));
    const starting = new Set([id]);
    const started = driver.start(id).finally(() => starting.delete(id));
    while (starting.has(id)) await driver.inspect(id);
    states.push((await started).state);
    await driver.remove(id);
  }
  expect(new Set(states)).toEqual(new Set(["running"]));
});
