// Where control groups are made and what is written into them, for both versions of the kernel's interface.
import { describe, expect, it } from "vitest";
import { oomKillsIn, placesOf, settingsOf } from "../../services/agent/runtime/process/cgroups.ts";
import type { Container } from "../../schemas/generated/types.ts";

const v2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
const v1 = `23 28 0:21 / /proc rw - proc proc rw
36 32 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
37 32 0:34 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory
38 32 0:35 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
39 32 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
40 32 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd`;

describe("groups are made", () => {
  const all = (version: 1 | 2, parent: string) => ({
    memory: { version, parent },
    cpu: { version, parent },
    pids: { version, parent },
  });

  it("at the top of v2, where groups hold processes or groups and never both", () => {
    for (const own of ["0::/", "0::/user.slice/user-0.slice/session-1.scope", "0::/../../outside"]) {
      expect(placesOf(v2, own)).toEqual(all(2, "/sys/fs/cgroup"));
    }
  });

  it("in the subtree that systemd gave the agent, beside its own subgroup", () => {
    const unit = "/system.slice/swain-agent.service";
    expect(placesOf(v2, `0::${unit}/swain-agent\n`)).toEqual(all(2, `/sys/fs/cgroup${unit}`));
    expect(placesOf(v2, `0::${unit}\n`)).toEqual(all(2, "/sys/fs/cgroup"));
  });

  it("below the agent's own in v1, controller by controller; v2 has what v1 does not", () => {
    const own = "7:pids:/\n6:memory:/system.slice/swain-agent.service\n5:cpu,cpuacct:/a/b\n0::/x/swain-agent";
    expect(placesOf(v1, own)).toEqual({
      memory: { version: 1, parent: "/sys/fs/cgroup/memory/system.slice/swain-agent.service" },
      cpu: { version: 1, parent: "/sys/fs/cgroup/cpu,cpuacct/a/b" },
      pids: { version: 1, parent: "/sys/fs/cgroup/pids" },
    });
    const withoutPids = v1.replace(/^39.*\n/m, "");
    expect(placesOf(withoutPids, own).pids).toEqual({ version: 2, parent: "/sys/fs/cgroup/unified/x" });
  });

  it("inside of a container, whose mounts show a part of the tree", () => {
    const mount = "37 32 0:34 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
    expect(placesOf(mount, "6:memory:/docker/abc").memory?.parent).toBe("/sys/fs/cgroup/memory");
    expect(placesOf(mount, "6:memory:/docker/abc/d").memory?.parent).toBe("/sys/fs/cgroup/memory/d");
    expect(placesOf(mount, "6:memory:/docker/abcd").memory?.parent).toBe("/sys/fs/cgroup/memory");
  });

  it("nowhere when the kernel shows none", () => {
    expect(placesOf("23 28 0:21 / /proc rw - proc proc rw\n", "")).toEqual({});
  });
});

describe("what is written", () => {
  const container: Container = {
    name: "main",
    resources: { limits: { memory: "64Mi", cpu: "250m" }, pids: 20, cpuShares: 1024 },
  };

  it("in v2", () => {
    expect(settingsOf("memory", 2, container)).toEqual([
      { file: "memory.max", value: "67108864" },
      { file: "memory.swap.max", value: "0", optional: true },
    ]);
    expect(settingsOf("cpu", 2, container)).toEqual([
      { file: "cpu.max", value: "25000 100000" },
      { file: "cpu.weight", value: "39" },
    ]);
    expect(settingsOf("pids", 2, container)).toEqual([{ file: "pids.max", value: "20" }]);
  });

  it("in v1", () => {
    expect(settingsOf("memory", 1, container)).toEqual([
      { file: "memory.limit_in_bytes", value: "67108864" },
      { file: "memory.memsw.limit_in_bytes", value: "67108864", optional: true },
    ]);
    expect(settingsOf("cpu", 1, container)).toEqual([
      { file: "cpu.cfs_period_us", value: "100000" },
      { file: "cpu.cfs_quota_us", value: "25000" },
      { file: "cpu.shares", value: "1024" },
    ]);
    expect(settingsOf("pids", 1, container)).toEqual([{ file: "pids.max", value: "20" }]);
  });

  it("keeps to what the kernel takes: quotas from a millisecond, weights from 1 to 10000", () => {
    const of = (resources: Container["resources"]) =>
      settingsOf("cpu", 2, { name: "main", resources: resources ?? {} })[0]?.value;
    expect(of({ limits: { cpu: "1m" } })).toBe("1000 100000");
    expect(of({ limits: { cpu: 4 } })).toBe("400000 100000");
    expect(of({ cpuShares: 2 })).toBe("1");
    expect(of({ cpuShares: 262_144 })).toBe("10000");
  });

  it("is nothing when nothing is asked for", () => {
    const none: Container = { name: "main", resources: { requests: { cpu: 1, memory: "1Gi" } } };
    for (const kind of ["memory", "cpu", "pids"] as const) expect(settingsOf(kind, 2, none)).toEqual([]);
  });
});

it("kills for want of memory are read from either version's file", () => {
  expect(oomKillsIn("low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 0\n")).toBe(3);
  expect(oomKillsIn("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")).toBe(1);
  expect(oomKillsIn("")).toBe(0);
});
