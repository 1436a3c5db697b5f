// Starts of processes, and what others see of them meanwhile.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it, onTestFinished } from "vitest";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";
import { ended, newCluster, patience, run, runReady, specOf, Stage } from "../conformance/driver-support.ts";
import { Cgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { processStat } from "../../services/agent/runtime/process/proc.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { programOf, wrapperOf } from "../support/processes.ts";

const data = mkdtempSync(join(tmpdir(), "swain-starts-"));
const cgroups = new Cgroups(systemClock, {}, []);
const idle: Program = { process: { command: ["/bin/sh", "-c", "exec sleep 1000"] } };

let clock: Clock = systemClock;
const stage = new Stage({
  makeDriver: (identity) =>
    createProcessDriver({ data, identity, clock, sockets: systemSockets, log: silent, cgroups }),
  capabilities: {} as DriverFixture["capabilities"],
});
afterEach(() => stage.clear());
afterEach(() => {
  clock = systemClock;
});
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

it("a process whose files cannot be read hides no other, and is known again as soon as they can be", async () => {
  const identity = { clusterUid: newCluster(), node: "n1" };
  const first = stage.driver(identity);
  const [broken, sound] = [await run(first, specOf(idle)), await run(first, specOf(idle))];
  const program = await programOf(data, broken.id);
  await first.close();
  const file = join(data, "processes", broken.id, "run.json");
  renameSync(file, `${file}.good`);
  mkdirSync(file);
  const notAFolder = join(data, "processes", "a.file.of.somebody");
  writeFileSync(notAFolder, "");
  onTestFinished(() => rmSync(notAFolder));
  try {
    const second = stage.driver(identity);
    const changes: string[] = [];
    onTestFinished(second.watch({ onChange: (id) => changes.push(id), onResync: () => {} }));
    const { id, pod, name } = broken;
    expect(await second.list()).toEqual(
      expect.arrayContaining([sound, { id, pod, name, state: "running", oomKilled: false, ports: [] }]),
    );
    expect(await stage.driver({ clusterUid: newCluster(), node: "n1" }).list()).toEqual([]);
    rmdirSync(file);
    renameSync(`${file}.good`, file);
    expect(await second.list()).toEqual(expect.arrayContaining([sound, broken]));
    await expect.poll(() => changes, patience).toContain(id);
    changes.length = 0;
    process.kill(program, "SIGKILL");
    await expect.poll(() => changes, patience).toContain(id);
  } finally {
    if (existsSync(`${file}.good`)) {
      rmdirSync(file);
      renameSync(`${file}.good`, file);
    }
  }
});

it("a program that writes over its variables is known all the same once its wrapper was killed, and can be ended", async () => {
  const driver = stage.driver();
  const perl = '$| = 1; $0 = "x" x 4000; print "up\\n"; sleep 1000';
  const { id } = await runReady(driver, specOf({ process: { command: ["/usr/bin/perl", "-e", perl] } }), "up");
  const program = await programOf(data, id);
  expect(readFileSync(`/proc/${program}/environ`, "utf8")).not.toContain("SWAIN_PROCESS_RUN");
  process.kill(await wrapperOf(data, id), "SIGKILL");
  await expect.poll(async () => processStat(await wrapperOf(data, id)), patience).toBeNull();
  expect(await driver.inspect(id)).toMatchObject({ state: "running" });
  expect(await driver.start(id)).toMatchObject({ state: "running" });
  expect(await programOf(data, id)).toBe(program);
  await driver.stop(id, 0);
  await expect.poll(() => existsSync(`/proc/${program}`), patience).toBe(false);
  expect(await driver.inspect(id)).toMatchObject({ state: "exited", exitCode: null });
});

it("a start that is said to have failed did not come to pass, though the agent stood still meanwhile", async () => {
  let still = 0;
  let pause = 0;
  const standsStill = (fn: () => void) => (): void => {
    still += 11_000;
    fn();
  };
  clock = {
    ...systemClock,
    mono: () => systemClock.mono() + still,
    after: (_, fn) => systemClock.after(pause, standsStill(fn)),
  };
  const driver = stage.driver();
  const job = (file: string): Program => ({ process: { command: ["/bin/sh", "-c", `echo ran >> ${file}`] } });
  for (let time = 0; time < 20; time += 1) {
    const file = join(data, `job-${time}`);
    pause = 4 * (time % 5);
    const id = await driver.create(specOf(job(file)));
    const failure: unknown = await driver.start(id).then(() => null, String);
    const wrote = () => readFileSync(join(data, "processes", id, "run-1", "pid"), "utf8");
    if (failure !== null) expect(wrote()).toBe("claimed\n");
    const { exitCode } = await ended(driver, id);
    expect({ exitCode, ran: existsSync(file) }).toEqual(
      failure === null ? { exitCode: 0, ran: true } : { exitCode: null, ran: false },
    );
  }
});
