// Limits of processes as the kernel holds them. It takes an agent's rights to make control groups.
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { Cgroups, openCgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { codeOf, ended, exec, newCluster, readLogs, run, specOf, Stage } from "../conformance/driver-support.ts";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { connectTo } from "../support/bus.ts";
import { until } from "../support/cluster.ts";
import { anyServer, startServer } from "../support/nats.ts";
import { StartedPart } from "../support/parts.ts";

/** The user without rights, by number. */
const nobody = 65_534;

const data = mkdtempSync(join(tmpdir(), "swain-cgroups-"));
const cgroups = await openCgroups(systemClock);
const stageWith = (cgroups: Cgroups): Stage =>
  new Stage({
    makeDriver: (identity) =>
      createProcessDriver({ data, identity, clock: systemClock, sockets: systemSockets, log: silent, cgroups }),
    capabilities: {} as DriverFixture["capabilities"],
  });
const stage = stageWith(cgroups);
afterEach(() => stage.clear());
afterAll(() => rmSync(data, { recursive: true, force: true }));

const shell = (script: string, resources: Program["resources"] = {}): Program => ({
  process: { command: ["/bin/sh", "-c", script], workingDir: "/" },
  resources,
});

/** Folders of the groups of a container's first run, as the kernel shows them to the program itself. */
const foldersOf = (id: string): string[] =>
  readFileSync(join(data, "processes", id, "run-1/cgroups"), "utf8")
    .trim()
    .split("\n");

const eats = `node -e 'const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1))'`;
const small = { limits: { memory: "64Mi" } };

const canLimit = cgroups.kinds.length === 3 || process.env["CI"] !== undefined;
(canLimit ? describe : describe.skip)(`limits of processes${canLimit ? "" : `: ${cgroups.describe()}`}`, () => {
  it("a program over its memory is killed, and that is told from any other kill", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(shell(`exec ${eats}`, small)));
    const folders = foldersOf(id);
    expect(await ended(driver, id)).toMatchObject({ exitCode: 137, oomKilled: true });
    expect(folders.map(existsSync)).toEqual([false]);

    const killed = await run(driver, specOf(shell("kill -KILL $$", small)));
    expect(await ended(driver, killed.id)).toMatchObject({ exitCode: 137, oomKilled: false });
    // The shell lives on, and it is its own exit code that says whether that was a failure.
    const failing = await run(driver, specOf(shell(`${eats}; exit 3`, small)));
    expect(await ended(driver, failing.id)).toMatchObject({ exitCode: 3, oomKilled: true });
    const fine = await run(driver, specOf(shell(`${eats}; exit 0`, small)));
    expect(await ended(driver, fine.id)).toMatchObject({ exitCode: 0, oomKilled: false });
  });

  it("a program over its CPU is slowed down", { timeout: 60_000 }, async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(shell("while :; do :; done", { limits: { cpu: "200m" } })));
    const [folder = ""] = foldersOf(id);
    // Ten times out of its share: two of the kernel's periods would prove nothing.
    await until("it was held back", () =>
      Promise.resolve(Number(/^nr_throttled (\d+)$/m.exec(readFileSync(join(folder, "cpu.stat"), "utf8"))?.[1]) >= 10),
    );
    const used = (await driver.usage([id])).get(id)?.cpuMillis;
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThan(300);
  });

  it("a program with all its processes cannot start another", async () => {
    const driver = stage.driver();
    const forks = "for n in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo all";
    const { id } = await run(driver, specOf(shell(forks, { pids: 5 })));
    expect((await ended(driver, id)).exitCode).toBeGreaterThan(0);
    const { stdout, stderr } = await readLogs(driver, id, false);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/fork/i);
    const enough = await run(driver, specOf(shell(forks, { pids: 50 })));
    expect((await ended(driver, enough.id)).exitCode).toBe(0);
  });

  it("programs run beside it are within the same limits", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(shell("sleep 1000", { pids: 5, ...small, cpuShares: 512 })));
    const told = (await exec(driver, id, ["cat", "/proc/self/cgroup"])).stdout;
    for (const folder of foldersOf(id)) expect(told).toContain(`/${folder.split("/").at(-1)}\n`);
    expect((await exec(driver, id, ["sh", "-c", "for n in 1 2 3 4 5 6; do sleep 9 & done"])).code).not.toBe(0);
  });

  it("what left the program's own group of processes ends with the run, and other groups are left alone", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(shell("setsid sleep 1000 & echo $!; sleep 1", { pids: 9 })));
    const [folder = ""] = foldersOf(id);
    const other = `${folder}0`;
    mkdirSync(other);
    try {
      await ended(driver, id);
      const pid = Number((await readLogs(driver, id, false)).stdout);
      await until("it ended", () => Promise.resolve(!existsSync(`/proc/${pid}`)));
      await driver.remove(id);
      expect([folder, other].map(existsSync)).toEqual([false, true]);
    } finally {
      rmdirSync(other);
    }
  });

  it("groups that the program made below its own go with it, and what is in them ends", async () => {
    const driver = stage.driver();
    const spec = specOf(shell("setsid sleep 1000 & echo $!; sleep 1000", { pids: 9 }));
    const { id } = await run(driver, spec);
    const [folder = ""] = foldersOf(id);
    const pid = await until("it is told", async () => Number((await readLogs(driver, id, false)).stdout) || undefined);
    mkdirSync(`${folder}/inner`);
    mkdirSync(`${folder}/inner/most`);
    writeFileSync(`${folder}/inner/most/cgroup.procs`, String(pid));
    await driver.stop(id, 0);
    expect(existsSync(folder)).toBe(false);
    await until("it ended", () => Promise.resolve(!existsSync(`/proc/${pid}`)));
    await driver.remove(id);
    expect(await driver.inspect(id)).toBeNull();
  });

  it("a later agent takes them over: it is told of a kill it did not see, and removes the groups", async () => {
    const spec = specOf(shell(`until [ -e ${data}/go ]; do sleep 0.05; done; exec ${eats}`, { ...small, pids: 30 }));
    const identity = { clusterUid: newCluster(), node: "n1" };
    const first = stage.driver(identity);
    const { id } = await run(first, spec);
    const folders = foldersOf(id);
    expect(folders).toHaveLength(new Set(folders).size);
    await first.close();
    writeFileSync(`${data}/go`, "");
    const second = stage.driver(identity);
    expect(await ended(second, id)).toMatchObject({ exitCode: 137, oomKilled: true });
    expect(folders.some(existsSync)).toBe(false);
    await second.remove(id);
    expect(await second.inspect(id)).toBeNull();
  });

  it("each run has groups of its own, and a pod without limits has none", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(shell("sleep 1000", { pids: 5 })));
    const [folder = ""] = foldersOf(id);
    await driver.stop(id, 1000);
    expect(existsSync(folder)).toBe(false);
    await driver.start(id);
    expect(existsSync(folder.replace(/-1$/, "-2"))).toBe(true);
    const free = await run(driver, specOf(shell("sleep 1000")));
    expect(existsSync(join(data, "processes", free.id, "run-1/cgroups"))).toBe(false);
  });

  it("what the kernel does not take is told, and nothing is started", async () => {
    const wrong = shell(`touch ${data}/started`, { pids: 2 ** 40 });
    const message = await run(stage.driver(), specOf(wrong)).catch(String);
    expect(message).toContain(`pids.max does not take ${2 ** 40} (EINVAL)`);
    expect(await codeOf(run(stage.driver(), specOf(wrong)))).toBe("SANDBOX_REFUSED");
    expect(existsSync(`${data}/started`)).toBe(false);
  });
});

it("no run begins beside one that has not let go of its group", async () => {
  const driver = stage.driver();
  const { id } = await run(driver, specOf(shell("exec sleep 1000")));
  // What the kernel does not let go of, as a process that hangs in it: here something that cannot be removed.
  const held = join(data, "swain-held");
  mkdirSync(held);
  writeFileSync(join(held, "memory"), "");
  writeFileSync(join(data, "processes", id, "run-1/cgroups"), `${held}\n`);
  await driver.stop(id, 0);
  expect(await driver.start(id).catch(String)).toContain(`the control group ${held} cannot be removed`);
  expect(await driver.inspect(id)).toMatchObject({ state: "exited" });
  rmSync(join(held, "memory"));
  expect(await driver.start(id)).toMatchObject({ state: "running" });
  expect(existsSync(held)).toBe(false);
});

it("without the right to make groups, what needs them is refused, and limits of CPU and memory are wishes", async () => {
  const poor = stageWith(new Cgroups(systemClock, {}, ["memory not limited: EROFS"]));
  const driver = poor.driver();
  try {
    expect(await driver.describe()).toContain("memory not limited: EROFS");
    const refused = shell("true", { pids: 5, cpuShares: 2 });
    expect(await run(driver, specOf(refused)).catch(String)).toContain("resources.pids, resources.cpuShares");
    expect(await codeOf(run(driver, specOf(refused)))).toBe("FIELD_UNSUPPORTED");
    const { id } = await run(driver, specOf(shell("true", { limits: { memory: "64Mi", cpu: 1 } })));
    expect((await ended(driver, id)).exitCode).toBe(0);
  } finally {
    await poor.clear();
  }
});

it("an agent without root's rights says what it cannot limit, and why", async () => {
  const server = await startServer(anyServer(), { jetstream: false });
  const bus = await connectTo(server.url);
  const leader = new TestLeader(bus, "default", "poor");
  const folder = mkdtempSync(join(tmpdir(), "swain-poor-"));
  chownSync(folder, nobody, nobody);
  const args = ["agent", "--id", "poor", "--runtime", "process", "--data", folder, "--server", server.url];
  const within = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", "env", `HOME=${folder}`];
  const agent = await StartedPart.start(args, within);
  try {
    const facts = await until("it is heard", () => Promise.resolve(leader.heartbeats[0]?.facts));
    expect(facts.processLimits).toEqual([]);
    for (const kind of ["memory", "cpu", "pids"])
      expect(facts.engine).toMatch(new RegExp(`${kind} not limited: /.*: E`));
  } finally {
    await agent.stop();
    await bus.close();
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
});
