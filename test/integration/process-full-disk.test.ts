// Processes that end while the disk of the node is full.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Driver } from "../../services/agent/runtime/driver.ts";
import { Cgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { ended, newCluster, runReady, specOf } from "../conformance/driver-support.ts";

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
      cgroups,
    });
  };

  beforeAll(() => {
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", disk]);
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
  });
};

if (process.getuid?.() === 0) describe("processes on a full disk", suite);
else describe.skip("processes on a full disk: mounting one needs root", () => it("is skipped", () => {}));
