// Processes that end, and that print, while the disk of the node is full.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Driver } from "../../services/agent/runtime/driver.ts";
import { Cgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { trimOutput } from "../../services/agent/runtime/process/output.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { ended, newCluster, patience, readLogs, runReady, specOf } from "../conformance/driver-support.ts";

const suite = (): void => {
  const place = mkdtempSync(join(tmpdir(), "swain-full-disk-"));
  const disk = join(place, "disk");
  const identity = { clusterUid: newCluster(), node: "n1" };
  const driverOf = (): Driver => {
    const cgroups = new Cgroups(systemClock, {}, []);
    return createProcessDriver({
      data: disk,
      identity: () => identity,
      clock: systemClock,
      sockets: systemSockets,
      log: silent,
      cgroups,
    });
  };

  beforeAll(() => {
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", disk]);
  });
  afterAll(() => {
    execFileSync("umount", ["-l", disk]);
    rmSync(place, { recursive: true, force: true });
  });

  it("keep their exit codes, also for the agent's successor", async () => {
    const driver = driverOf();
    const gate = join(place, "gate");
    const codes = [0, 7];
    const programs = codes.map((code) => {
      const script = `echo up; while [ ! -e "${gate}" ]; do sleep 0.02; done; exit ${code}`;
      return runReady(driver, specOf({ process: { command: ["/bin/sh", "-c", script] } }), "up");
    });
    const ids = (await Promise.all(programs)).map(({ id }) => id);
    const fill = join(disk, "fill");
    expect(() => {
      for (;;) writeFileSync(fill, Buffer.alloc(1024), { flag: "a" });
    }).toThrow(/ENOSPC/);
    writeFileSync(gate, "");
    for (const [at, id] of ids.entries()) expect(await ended(driver, id)).toMatchObject({ exitCode: codes[at] });
    await driver.close();
    const successor = driverOf();
    for (const [at, id] of ids.entries()) {
      expect(await successor.inspect(id)).toMatchObject({ state: "exited", exitCode: codes[at] });
      await successor.remove(id);
    }
    await successor.close();
    rmSync(fill);
  });

  it("have their output cut all the same: what was kept of it before gives way, and then all of it", async () => {
    const driver = driverOf();
    const { id } = await runReady(
      driver,
      specOf({ process: { command: ["/bin/sh", "-c", "echo up; exec sleep 1000"] } }),
      "up",
    );
    const [out, err] = ["stdout.log", "stderr.log"].map((name) => join(disk, "processes", id, "run-1", name)) as [
      string,
      string,
    ];
    const print = (file: string, letter: string, lines = 115_000): void =>
      appendFileSync(file, `${letter.repeat(99)}\n`.repeat(lines));
    const isCut = (file: string) => expect.poll(() => statSync(file).size, patience).toBe(0);
    print(out, "a");
    await isCut(out);
    // There is room for two such files, but not for three.
    print(out, "b");
    await isCut(out);
    const kept = readFileSync(`${out}.1`, "utf8");
    expect(kept.length).toBeGreaterThan(10_000_000);
    expect(new Set(kept)).toEqual(new Set("b\n"));
    expect(() => {
      for (;;) print(err, "c", 1000);
    }).toThrow(/ENOSPC/);
    await isCut(err);
    expect([`${err}.1`, `${err}.new`].filter(existsSync)).toEqual([]);
    appendFileSync(err, "after\n");
    expect((await readLogs(driver, id, false)).stderr).toBe("after\n");
    await driver.remove(id);
    await driver.close();
  });
};

it("what a program prints while its output is copied aside is kept", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-output-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "stdout.log");
  appendFileSync(file, `${"x".repeat(99)}\n`.repeat(110_000));
  let count = 0;
  const cut = new Set(["not yet"]);
  const cutting = trimOutput(folder).finally(() => cut.clear());
  while (cut.size > 0) {
    appendFileSync(file, `line ${(count += 1)}\n`);
    await setImmediate();
  }
  await cutting;
  const kept = readFileSync(`${file}.1`, "utf8") + readFileSync(file, "utf8");
  const lines = kept.split("\n").filter((line) => line.startsWith("line "));
  expect(lines).toEqual(Array.from({ length: count }, (_, index) => `line ${index + 1}`));
});

if (process.getuid?.() === 0) describe("processes on a full disk", suite);
else describe.skip("processes on a full disk: mounting one needs root", () => it("is skipped", () => {}));
