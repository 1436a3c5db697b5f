// Every sandbox field, as the engine has it and as the program in the container meets it.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import type { ContainerSpec, Driver } from "../../services/agent/runtime/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { codeOf, ended, fetched, newCluster, readLogs, run, specOf, Stage } from "../conformance/driver-support.ts";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";
import { clearClusters, describeEngine, testImage, willClear } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { freePort } from "../support/ports.ts";

const shell = (script: string): Program => ({ image: testImage, command: ["sh", "-c"], args: [script] });
const idle = shell("exec sleep 1000");

interface World {
  readonly engine: TestEngine;
  readonly stage: Stage;
}

await describeEngine("the sandbox of a container", (engine) => {
  const makeDriver: DriverFixture["makeDriver"] = (identity) => {
    const known = identity();
    if (known !== null) willClear(known.clusterUid, engine);
    const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: engine.socket };
    return createDockerDriver({ identity, ...parts });
  };
  const world = { engine, stage: new Stage({ makeDriver, capabilities: {} as DriverFixture["capabilities"] }) };
  afterEach(() => world.stage.clear());
  afterAll(() => clearClusters());
  describe("rights", () => rightsSuite(world));
  describe("limits", () => limitsSuite(world));
  describe("devices", () => deviceSuite(world));
  describe("networks", () => networkSuite(world));
});

/** What the script printed, and what the engine says of the container. */
async function outcome({ engine, stage }: World, program: Program, over: Partial<ContainerSpec> = {}) {
  const driver = stage.driver({ clusterUid: newCluster(), node: "n1" });
  const { id } = await run(driver, specOf(program, over));
  await ended(driver, id);
  const { HostConfig: host, Config: config } = await engine.api.getContainer(id).inspect();
  return { text: (await readLogs(driver, id, false)).stdout, host, config };
}

const field = (text: string, name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1] ?? "";
const bit = (mask: string, number: number): boolean => ((BigInt(`0x${mask}`) >> BigInt(number)) & 1n) === 1n;
/** Numbers of the kernel. */
const capability = { CHOWN: 0, NET_ADMIN: 12, SYS_ADMIN: 21, SYS_RESOURCE: 24, SETUID: 7 };

function rightsSuite(world: World): void {
  it("user, groups, capabilities and no new privileges", async () => {
    const security = {
      user: "1234:2345",
      groups: [3456],
      capabilities: { add: ["NET_ADMIN"], drop: ["CHOWN"] },
      noNewPrivileges: true,
    };
    const { text, host, config } = await outcome(world, { ...shell("id; cat /proc/self/status"), security });
    expect(config.User).toBe("1234:2345");
    expect(host.GroupAdd).toEqual(["3456"]);
    expect(text).toMatch(/^uid=1234 gid=2345 groups=(2345,)?3456/m);
    expect(field(text, "NoNewPrivs")).toBe("1");
    const mask = field(text, "CapBnd");
    expect(bit(mask, capability.NET_ADMIN)).toBe(true);
    expect(bit(mask, capability.CHOWN)).toBe(false);
    expect(bit(mask, capability.SETUID)).toBe(true);
  });

  it("a read-only root refuses writes, but for folders in memory of the size asked for", async () => {
    const { text, host } = await outcome(world, {
      ...shell("touch /no 2>/dev/null && echo written || echo refused; touch /scratch/yes && df -k /scratch | tail -1"),
      security: { readOnlyRoot: true },
      tmpfs: [{ mountPath: "/scratch", size: "8Mi" }],
    });
    expect(host.ReadonlyRootfs).toBe(true);
    expect(text).toMatch(/^refused$/m);
    expect(text).toMatch(/^tmpfs\s+8192\s/m);
  });

  it("seccomp: the engine's profile, none, and one of the node; a missing one is refused", async () => {
    const script = "grep Seccomp: /proc/self/status; mkdir /made 2>/dev/null && echo made || echo refused";
    const status = async (seccomp: string): Promise<string> =>
      (await outcome(world, { ...shell(script), security: { seccomp } })).text;
    expect(await status("default")).toMatch(/^Seccomp:\s+2\nmade/);
    expect(await status("unconfined")).toMatch(/^Seccomp:\s+0\nmade/);
    const folder = mkdtempSync(join(tmpdir(), "swain-seccomp-"));
    try {
      const path = join(folder, "profile.json");
      const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }];
      writeFileSync(path, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
      expect(await status(path)).toMatch(/^Seccomp:\s+2\nrefused/);
      expect(await codeOf(status(join(folder, "gone.json")))).toBe("SANDBOX_REFUSED");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("a capability, CPU, user or group that is not there is refused as such", async () => {
    const driver = world.stage.driver();
    const refusal = (program: Partial<Program>): Promise<string> =>
      codeOf(run(driver, specOf({ ...idle, ...program })));
    expect(await refusal({ security: { capabilities: { add: ["NO_SUCH"] } } })).toBe("SANDBOX_REFUSED");
    expect(await refusal({ resources: { cpuSet: "0-999" } })).toBe("SANDBOX_REFUSED");
    expect(await refusal({ security: { user: "swain-nobody" } })).toBe("SANDBOX_REFUSED");
    expect(await refusal({ security: { user: "1:swain-nobody" } })).toBe("SANDBOX_REFUSED");
    expect(await refusal({ security: { groups: ["swain-nobody"] } })).toBe("SANDBOX_REFUSED");
  });

  it("privileged holds what others do not, or is refused where root itself has not every right", async () => {
    const script = "cat /proc/self/status";
    const plain = await outcome(world, shell(script));
    expect(bit(field(plain.text, "CapBnd"), capability.SYS_ADMIN)).toBe(false);
    const driver = world.stage.driver();
    const id = await driver.create(specOf({ ...shell(script), security: { privileged: true } }));
    expect((await world.engine.api.getContainer(id).inspect()).HostConfig.Privileged).toBe(true);
    const confined = !bit(field(readFileSync("/proc/self/status", "utf8"), "CapBnd"), capability.SYS_RESOURCE);
    // Podman grants what there is, Docker wants all of it.
    if (confined && world.engine.kind === "docker") {
      expect(await codeOf(driver.start(id))).toBe("SANDBOX_REFUSED");
    } else {
      await driver.start(id);
      await ended(driver, id);
      expect(bit(field((await readLogs(driver, id, false)).stdout, "CapBnd"), capability.SYS_ADMIN)).toBe(true);
    }
  });
}

function limitsSuite(world: World): void {
  it("processes, files, shares, CPU set and the size of /dev/shm", async () => {
    const last = String(cpus().length - 1);
    const forks = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 3 & done 2>/dev/null; echo forked all";
    const { text, host } = await outcome(world, {
      ...shell(`ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1; grep Cpus_allowed_list /proc/self/status; ${forks}`),
      resources: { pids: 10, cpuShares: 77, cpuSet: last },
      // A limit of one's own takes Podman's defaults away, and a confined root may not set what is left then.
      ulimits: [
        { name: "nofile", soft: 300, hard: 400 },
        { name: "nproc", soft: 4096 },
      ],
      shmSize: "4Mi",
    });
    expect(host).toMatchObject({ PidsLimit: 10, CpuShares: 77, CpusetCpus: last, ShmSize: 4 * 2 ** 20 });
    expect(text).toMatch(/^300\n400\n/);
    expect(text).toMatch(/^\S+\s+4096\s.*\/dev\/shm$/m);
    expect(field(text, "Cpus_allowed_list")).toBe(last);
    expect(text).not.toContain("forked all");
  });
}

function deviceSuite({ engine, stage }: World): void {
  it("a device under another name, with the rights asked for; one that is not there is refused", async () => {
    // One that no container has by itself.
    const hostPath = ["/dev/fuse", "/dev/net/tun", "/dev/kvm", "/dev/rtc0"].find((path) => existsSync(path)) ?? "";
    const devices = [{ hostPath, containerPath: "/dev/thing", permissions: "r" }];
    const script = "exec 3< /dev/thing && echo read; (: > /dev/thing) 2>/dev/null && echo written || echo refused";
    const { text } = await outcome({ engine, stage }, { ...shell(script), devices });
    expect(text).toBe("read\nrefused\n");
    const driver = stage.driver();
    const gone = specOf({ ...idle, devices: [{ hostPath: "/dev/swain-no-such" }] });
    expect(await codeOf(run(driver, gone))).toBe("SANDBOX_REFUSED");
  });

  it("a request for GPUs reaches the engine, and its refusal is told as such", async () => {
    const driver = stage.driver();
    const spec = specOf({ ...idle, gpus: 1 });
    if (engine.kind === "docker") {
      const id = await driver.create(spec);
      const { HostConfig } = await engine.api.getContainer(id).inspect();
      expect(HostConfig.DeviceRequests).toMatchObject([{ Count: 1, Capabilities: [["gpu"]] }]);
    }
    expect(await codeOf(run(driver, spec))).toBe("GPU_UNAVAILABLE");
  });
}

function networkSuite(world: World): void {
  const { engine, stage } = world;
  const page = (port: number): Program => shell(`mkdir /www; echo here > /www/index.html; httpd -f -h /www -p ${port}`);

  it("hosts and resolver", async () => {
    const { text } = await outcome(world, shell("cat /etc/hosts /etc/resolv.conf"), {
      hosts: [{ ip: "10.1.2.3", names: ["db.test", "db"] }],
      dns: { servers: ["10.9.9.9"], searches: ["shop.test"], options: ["ndots:2"] },
    });
    expect(text).toMatch(/^10\.1\.2\.3\s+.*db\.test/m);
    expect(text).toMatch(/^10\.1\.2\.3\s+.*\bdb\b(?!\.)/m);
    expect(text).toMatch(/^nameserver 10\.9\.9\.9$/m);
    expect(text).toMatch(/^search .*shop\.test/m);
    expect(text).toMatch(/^options .*ndots:2/m);
  });

  it("no network has loopback alone", async () => {
    const { text, host } = await outcome(world, shell("ls /sys/class/net"), { network: { mode: "none" } });
    expect(host.NetworkMode).toBe("none");
    expect(text).toBe("lo\n");
  });

  it("the node's network: a port is the same inside and outside, and one that is taken ends the program", async () => {
    const driver = stage.driver();
    const port = await freePort();
    const ports = [{ name: "http", containerPort: port }];
    const info = await run(driver, specOf({ ...page(port), ports }, { network: { mode: "host" }, podPorts: ports }));
    expect(info.ports).toEqual([
      { name: "http", containerPort: port, hostPort: port, local: "127.0.0.1", localPort: port },
    ]);
    expect(await fetched("127.0.0.1", port)).toBe("here\n");
    expect((await engine.api.getContainer(info.id).inspect()).HostConfig.NetworkMode).toBe("host");
  });

  it("another pod's network is shared", async () => {
    const driver: Driver = stage.driver();
    const owner = await run(driver, specOf(page(8080)));
    const guest = specOf(shell("wget -qO- http://127.0.0.1:8080/"), {
      network: { mode: "pod", workload: "web" },
      joinNetworkOf: owner.id,
    });
    await fetched(owner.address ?? "", 8080);
    const { id } = await run(driver, guest);
    await ended(driver, id);
    expect((await readLogs(driver, id, false)).stdout).toBe("here\n");
    await driver.stop(owner.id, 0);
    expect(await codeOf(driver.start(id))).toBe("NETWORK_POD_MISSING");
    expect(await driver.inspect(id)).not.toBeNull();
    await driver.remove(owner.id);
    if (await driver.inspect(id)) expect(await codeOf(driver.start(id))).toBe("NETWORK_POD_MISSING");
    expect(await driver.inspect(id)).toBeNull();
  });
}
