import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { silent } from "../../services/kernel/log.ts";
import { detectAdvertise } from "../../services/agent/facts/advertise.ts";
import { detectCapacity } from "../../services/agent/facts/capacity.ts";
import { machineUsage } from "../../services/agent/facts/usage.ts";

const machine = { cpus: 8, memoryBytes: 16 * 2 ** 30 };

/** A system with these files. */
const withFiles =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | null =>
    files[path] ?? null;

describe("capacity", () => {
  it("is the machine's without control groups", () => {
    expect(detectCapacity(1, machine, withFiles({}))).toEqual({
      cpuMillis: 8000,
      memoryBytes: 16 * 2 ** 30,
      pods: 250,
    });
  });

  it("is the v2 group's where that is smaller, or that of a group above", () => {
    const files = {
      "/proc/self/cgroup": "0::/user.slice/app.scope\n",
      "/sys/fs/cgroup/user.slice/app.scope/cpu.max": "150000 100000\n",
      "/sys/fs/cgroup/user.slice/app.scope/memory.max": "max\n",
      "/sys/fs/cgroup/user.slice/memory.max": "1073741824\n",
    };
    expect(detectCapacity(1, machine, withFiles(files))).toMatchObject({ cpuMillis: 1500, memoryBytes: 2 ** 30 });
  });

  it("is read from the root of the mount inside a container", () => {
    const files = { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n" };
    expect(detectCapacity(1, machine, withFiles(files))).toMatchObject({ cpuMillis: 500 });
  });

  it("is the v1 group's where that is smaller; -1 and the largest number are no limit", () => {
    const files = {
      "/proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n",
      "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "9223372036854771712\n",
    };
    expect(detectCapacity(1, machine, withFiles(files))).toMatchObject({
      cpuMillis: 2000,
      memoryBytes: machine.memoryBytes,
    });
  });

  it("is divided among the agents of a machine", () => {
    expect(detectCapacity(3, machine, withFiles({}))).toMatchObject({ cpuMillis: 2666, pods: 83 });
    expect(detectCapacity(1000, machine, withFiles({})).pods).toBe(1);
  });
});

describe("the advertised address", () => {
  it("is loopback when the server is on loopback", async () => {
    expect(await detectAdvertise("nats://127.0.0.1:4222", null)).toBe("127.0.0.1");
    expect(await detectAdvertise("localhost:4222,nats://other:4222", null)).toBe("127.0.0.1");
    expect(await detectAdvertise("nats://user:secret@[::1]:4222", null)).toBe("127.0.0.1");
  });

  it("is the one found last while there is no way to the server, and an agent's own folder keeps it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "swain-advertise-"));
    const memory = join(folder, "agent", "advertise");
    try {
      expect(await detectAdvertise("nats://127.0.0.1:4222", { disk: systemDisk, file: memory, log: silent })).toBe(
        "127.0.0.1",
      );
      expect(readFileSync(memory, "utf8")).toBe("127.0.0.1\n");
      writeFileSync(memory, "192.0.2.7\n");
      // No socket may be connected to this one, and the other name means nothing.
      expect(
        await detectAdvertise("nats://255.255.255.255:4222", { disk: systemDisk, file: memory, log: silent }),
      ).toBe("192.0.2.7");
      expect(
        await detectAdvertise("nats://no-such-host.invalid:4222", { disk: systemDisk, file: memory, log: silent }),
      ).toBe("192.0.2.7");
      expect(await detectAdvertise("nats://255.255.255.255:4222", null)).not.toBe("0.0.0.0");
      expect(await detectAdvertise("nats://127.0.0.1:4222", { disk: systemDisk, file: memory, log: silent })).toBe(
        "127.0.0.1",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is some address also when the server's name means nothing", async () => {
    expect(await detectAdvertise("nats://no-such-host.invalid:4222", null)).toMatch(/^[0-9a-f.:]+$/);
  });
});

it("agents that share a machine share its use, as they share its capacity", () => {
  const whole = machineUsage(1)().memoryBytes;
  const half = machineUsage(2)().memoryBytes;
  // Between the two looks others take and give back memory.
  expect(half).toBeGreaterThan(whole * 0.3);
  expect(half).toBeLessThan(whole * 0.7);
});
