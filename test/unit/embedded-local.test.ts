import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { configText } from "../../services/bus/embedded/config.ts";
import { hostFact } from "../../services/kernel/node/host.ts";
import { removeDrafts, systemDisk } from "../../services/kernel/node/disk.ts";
import { makeFolder } from "../../services/kernel/node/folder.ts";
import { Child } from "../../cli/local/child.ts";
import type { Launched } from "../../cli/local/launch.ts";
import { dataFolder, localCluster, localPaths, readRecord } from "../../cli/local/layout.ts";
import type { UpRecord } from "../../cli/local/layout.ts";
import { endLeftovers } from "../../cli/local/leftovers.ts";
import { dropLock, lockOwner, takeLock } from "../../cli/local/lock.ts";
import { lastLines, rotate } from "../../cli/local/log-files.ts";
import { readRegistry } from "../../cli/local/members.ts";
import { contextText, saveContext } from "../../cli/local/nats-context.ts";
import { agentParts, controllerParts, proxyPart, rolesFor } from "../../cli/local/parts.ts";
import type { PartsOptions } from "../../cli/local/parts.ts";
import { endProcess, isAlive, markOf } from "../../cli/local/processes.ts";
import { serverWarnings } from "../../cli/local/server.ts";
import { stopLocal } from "../../cli/local/stop.ts";
import { newUser } from "../support/nats.ts";

let folder: string;
let closers: (() => void)[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "swain-local-"));
  closers = [];
});

afterEach(async () => {
  for (const close of closers) close();
  await rm(folder, { recursive: true, force: true });
});

/** A process that does nothing; ended after the test. */
async function idleProcess(script = "setInterval(() => {}, 1000)", ...args: string[]): Promise<number> {
  const child = spawn(process.execPath, ["-e", `${script}; console.log("up")`, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  closers.push(() => child.kill("SIGKILL"));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child.pid!;
}

const record = (children: UpRecord["children"]): UpRecord => ({
  cluster: "c",
  server: "nats://127.0.0.1:5000",
  ownServer: true,
  runtime: "process",
  nodes: 1,
  proxyHost: "127.0.0.1",
  supervisor: { pid: 1, start: "never" },
  children,
  ready: true,
});

test("a process id that was used again is not taken for the process it once was", async () => {
  const mark = markOf(await idleProcess())!;
  expect(isAlive(mark)).toBe(true);
  expect(isAlive({ ...mark, start: `${mark.start}0` })).toBe(false);
  expect(await endProcess({ ...mark, start: "another" }, 100)).toBe("ended");
  expect(isAlive(mark)).toBe(true);
});

test("a process that ignores the polite signal is killed after its time of grace", async () => {
  const mark = markOf(await idleProcess("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"))!;
  expect(await endProcess(mark, 200)).toBe("killed");
  expect(isAlive(mark)).toBe(false);
});

test("only recorded processes that still live are ended, and none that took over an id", async () => {
  const ours = markOf(await idleProcess())!;
  const stranger = markOf(await idleProcess())!;
  const { stopped, stuck } = await endLeftovers(
    record([
      { name: "agent-node-1", kind: "agent", ...ours },
      { name: "proxy-1", kind: "proxy", pid: stranger.pid, start: "earlier" },
    ]),
    false,
  );
  expect(stopped.map((child) => child.name)).toEqual(["agent-node-1"]);
  expect(stuck).toEqual([]);
  expect(isAlive(ours)).toBe(false);
  expect(isAlive(stranger)).toBe(true);
});

test("an agent left behind gets no chance to stop its pods when pods are kept", async () => {
  const told = join(folder, "told");
  const script = `process.on("SIGTERM", () => { require("fs").writeFileSync(${JSON.stringify(told)}, ""); process.exit(0); }); setInterval(() => {}, 1000)`;
  const mark = markOf(await idleProcess(script))!;
  await endLeftovers(record([{ name: "agent-node-1", kind: "agent", ...mark }]), true);
  expect(isAlive(mark)).toBe(false);
  await expect(stat(told)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a second supervisor of one data folder is refused", async () => {
  const paths = localPaths(folder);
  const own = takeLock(paths);
  expect(() => takeLock(paths)).toThrow(expect.objectContaining({ code: "ALREADY_RUNNING" }) as Error);
  dropLock(paths, { ...own, start: "another process of this id" });
  expect(() => takeLock(paths)).toThrow(expect.objectContaining({ code: "ALREADY_RUNNING" }) as Error);
  dropLock(paths, own);
  takeLock(paths);
  expect(await readdir(join(folder, "run"))).toEqual(["lock"]);
});

test.each([
  ["of a supervisor that is gone", JSON.stringify({ pid: process.pid, start: "an earlier process of this id" })],
  ["that was written in part", '{"pid":'],
])("the lock %s is taken over", async (_, text) => {
  const paths = localPaths(folder);
  await mkdir(join(folder, "run"));
  await writeFile(paths.lock, text);
  const own = takeLock(paths);
  expect(own.pid).toBe(process.pid);
  expect(lockOwner(paths)).toEqual(own);
  expect(await readdir(join(folder, "run"))).toEqual(["lock"]);
});

test("a stale lock is taken over also where another that did so was killed in the midst of it", async () => {
  const paths = localPaths(folder);
  await mkdir(join(folder, "run"));
  const gone = (start: string): string => JSON.stringify({ pid: process.pid, start });
  const guard = createHash("sha256").update(gone("first")).digest("hex").slice(0, 16);
  await writeFile(paths.lock, gone("first"));
  await writeFile(`${paths.lock}.${guard}`, gone("second"));
  const own = takeLock(paths);
  expect(lockOwner(paths)).toEqual(own);
  expect(await readdir(join(folder, "run"))).toEqual(["lock"]);
});

test("a folder whose server runs is not free, whatever became of lock and record", async () => {
  const paths = localPaths(folder);
  const link = join(folder, "link");
  await mkdir(paths.nats);
  await symlink(folder, link);
  await writeFile(paths.serverConfig, "");
  const named = localPaths(link).serverConfig;
  const pid = await idleProcess(undefined, "--", "-c", named, "-P", paths.serverPid);
  await writeFile(paths.serverPid, String(pid));
  const refused = { code: "ALREADY_RUNNING", message: expect.stringContaining(`runs (${pid})`) as string };
  expect(() => takeLock(paths)).toThrow(expect.objectContaining(refused) as Error);
  // One that is on record was left behind by a supervisor that is gone; who takes over ends it.
  await systemDisk.writeAtomic(paths.record, JSON.stringify(record([{ name: "nats", kind: "nats", ...markOf(pid)! }])));
  dropLock(paths, takeLock(paths));
  await rm(paths.record);
  // A pid that was used again belongs to somebody else.
  await writeFile(paths.serverPid, String(process.pid));
  takeLock(paths);
});

test("down ends a server that no record tells of, and says what it cannot know", async () => {
  const paths = localPaths(folder);
  await mkdir(paths.nats);
  const pid = await idleProcess(undefined, "--", "-c", paths.serverConfig, "-P", paths.serverPid);
  await writeFile(paths.serverPid, String(pid));
  const mark = markOf(pid)!;
  const lines: string[] = [];
  await stopLocal(folder, (line) => void lines.push(line));
  expect(isAlive(mark)).toBe(false);
  expect(lines.join("\n")).toMatch(/stopped nats-server .*end those by hand/s);
  await expect(stopLocal(folder, () => {})).rejects.toMatchObject({ code: "NOT_RUNNING" });
});

test("of a list of machines that an earlier version kept, keys that are none are left out", async () => {
  const paths = localPaths(folder);
  const entry = (name: string, publicKey: string) => ({ role: `agent-${name}`, id: name, publicKey });
  const [fit, unfit] = [entry("web1", newUser().nkey), entry("web9", `U${"A".repeat(55)}`)];
  const seen = { logId: "l", sequence: 7 };
  await systemDisk.writeAtomic(paths.members, JSON.stringify({ members: [unfit, fit], tokens: [fit, unfit], seen }));
  expect(await readRegistry(paths)).toEqual({ members: [fit], tokens: [fit], seen });
});

test("the local cluster is what the record says, with one key per role", async () => {
  expect(localCluster(folder)).toBeNull();
  const paths = localPaths(folder);
  await systemDisk.writeAtomic(paths.record, JSON.stringify(record([])));
  const cluster = localCluster(folder)!;
  expect(cluster).toMatchObject({ server: "nats://127.0.0.1:5000", cluster: "c" });
  expect(cluster.creds("operator")).toBe(join(folder, "creds", "operator.nk"));
  await systemDisk.writeAtomic(paths.record, JSON.stringify({ ...record([]), ownServer: false, creds: "/k.creds" }));
  expect(localCluster(folder)!.creds("agent-node-1")).toBe("/k.creds");
  await systemDisk.writeAtomic(paths.record, JSON.stringify({ ...record([]), ownServer: false }));
  expect(localCluster(folder)!.creds("operator")).toBeUndefined();
});

test("a folder this user may not read is told as such, not as one where nothing runs", () => {
  const failing = (code: string) => (): string => {
    throw Object.assign(new Error(code), { code });
  };
  expect(readRecord(folder, failing("ENOENT"))).toBeNull();
  const refused = { code: "DATA_UNREADABLE", exit: 4, message: expect.stringContaining(folder) as string };
  expect(() => readRecord(folder, failing("EACCES"))).toThrow(expect.objectContaining(refused) as Error);
});

test("the data folder comes from the option, then SWAIN_DATA, then the home folder", () => {
  expect(dataFolder("/a", { SWAIN_DATA: "/b" })).toBe("/a");
  expect(dataFolder(undefined, { SWAIN_DATA: "/b" })).toBe("/b");
  expect(dataFolder(undefined, {})).toMatch(/\/\.swain$/);
});

test("a part that dies is started again, and says so", async () => {
  const lines: string[] = [];
  let starts = 0;
  let end: (how: string) => void = () => {};
  const launch = async (onSpawn: (pid: number) => void): Promise<Launched> => {
    starts++;
    onSpawn(process.pid);
    const closed = new Promise<string>((resolve) => (end = resolve));
    return { pid: process.pid, closed, stop: async () => end("stopped") };
  };
  const signal = new AbortController().signal;
  const say = (line: string): void => void lines.push(line);
  const child = new Child({
    name: "p",
    kind: "proxy",
    log: "l",
    launch,
    restart: true,
    say,
    onChange: () => {},
    signal,
  });
  await child.start();
  expect(child.mark()).toMatchObject({ name: "p", pid: process.pid });
  end("exit code 1");
  await expect.poll(() => starts).toBe(2);
  expect(lines).toEqual([expect.stringContaining("p is gone: exit code 1; starting it again in 250 ms")]);
  await child.stop();
  expect(starts).toBe(2);
});

test("stopping a part that waits to be started again ends the wait at once", async () => {
  let starts = 0;
  const launch = async (): Promise<Launched> => {
    if (++starts > 1) throw new Error("broken");
    return { pid: process.pid, closed: Promise.resolve("exit code 1"), stop: async () => {} };
  };
  const said: string[] = [];
  const signal = new AbortController().signal;
  const say = (line: string): void => void said.push(line);
  const child = new Child({
    name: "p",
    kind: "proxy",
    log: "l",
    launch,
    restart: true,
    say,
    onChange: () => {},
    signal,
  });
  await child.start();
  // Waits of 250, 500, 1000 ms have begun; the next would be 2 s.
  await expect.poll(() => said.filter((line) => line.includes("starting it again")).length, { timeout: 5000 }).toBe(4);
  const began = performance.now();
  await child.stop();
  expect(performance.now() - began).toBeLessThan(500);
});

test("a log that grew large is moved aside while its writer goes on", async () => {
  const path = join(folder, "x.log");
  await writeFile(path, "a".repeat(11 * 1024 * 1024));
  await rotate(path);
  expect((await stat(path)).size).toBe(0);
  expect((await stat(`${path}.1`)).size).toBe(11 * 1024 * 1024);
  await writeFile(path, "one\ntwo\n\n", { flag: "a" });
  await rotate(path);
  expect(await lastLines(path, 1)).toEqual(["two"]);
});

const parts: PartsOptions = {
  paths: localPaths("/d"),
  server: "nats://127.0.0.1:5000",
  cluster: "c",
  ownServer: true,
  controllers: 2,
  nodes: 3,
  runtime: "docker",
  keepPods: false,
  proxyHost: "127.0.0.1",
  advertise: "127.0.0.1",
};

test("each node has an agent with its own key and its share of the machine", () => {
  const agents = agentParts(parts);
  expect(agents.map((part) => part.name)).toEqual(["agent-node-1", "agent-node-2", "agent-node-3"]);
  expect(agents[1]?.args.join(" ")).toBe(
    "agent --server nats://127.0.0.1:5000 --creds /d/creds/agent-node-2.nk --cluster c --id node-2 --split 3 " +
      "--data /d/nodes/node-2 --runtime docker --advertise 127.0.0.1 --stop-pods",
  );
  expect(rolesFor(parts)).toEqual([
    "controller",
    "operator",
    "proxy",
    "registrar",
    "agent-node-1",
    "agent-node-2",
    "agent-node-3",
  ]);
});

test("simulated nodes share one process and one key", () => {
  const agents = agentParts({ ...parts, runtime: "sim", nodes: 1000 });
  expect(agents).toHaveLength(1);
  expect(agents[0]?.args).toEqual(expect.arrayContaining(["--nodes", "1000", "/d/creds/nodes.nk"]));
  expect(rolesFor({ runtime: "sim", nodes: 1000 })).toEqual(["controller", "operator", "proxy", "registrar", "nodes"]);
});

test("kept pods are not stopped by their agents", () => {
  expect(agentParts({ ...parts, keepPods: true })[0]?.args).not.toContain("--stop-pods");
});

test("a server of the user's own is reached with the user's own credentials by every part", () => {
  const own = { ...parts, ownServer: false, creds: "/my.creds" };
  for (const part of [...controllerParts(own), ...agentParts(own), proxyPart(own)]) {
    expect(part.args[part.args.indexOf("--creds") + 1]).toBe("/my.creds");
  }
});

test("a context of the nats CLI names the key's file, is private, and follows XDG_CONFIG_HOME", async () => {
  const cluster = { server: "nats://127.0.0.1:5000", cluster: "c", creds: () => "/d/creds/operator.nk" };
  expect(JSON.parse(contextText(cluster))).toEqual({
    description: "Swain cluster c",
    url: "nats://127.0.0.1:5000",
    nkey: "/d/creds/operator.nk",
  });
  const { name, path } = await saveContext(cluster, { XDG_CONFIG_HOME: folder });
  expect(name).toBe("swain-c");
  expect(path).toBe(join(folder, "nats", "context", "swain-c.json"));
  expect(await readFile(path, "utf8")).toBe(contextText(cluster));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("old and unfixed servers are warned about, good ones are not", () => {
  expect(serverWarnings("2.9.10")).toEqual([expect.stringContaining("fit for development only")]);
  expect(serverWarnings("2.12.0")).toEqual([expect.stringContaining("lacks security fixes")]);
  expect(serverWarnings("2.12.7")).toEqual([]);
  expect(serverWarnings("2.14.3")).toEqual([]);
});

test("sync_interval is written only for servers that know it", () => {
  const base = { cluster: "c", host: "127.0.0.1", port: 1, store: "/s", users: [] };
  expect(configText({ ...base, syncAlways: true })).toContain("sync_interval: always");
  expect(configText({ ...base, syncAlways: false })).not.toContain("sync_interval");
});

test("the host fact is sixteen hex digits and stays the same", () => {
  expect(hostFact()).toMatch(/^[0-9a-f]{16}$/);
  expect(hostFact()).toBe(hostFact());
});

test("files are written whole and private, missing ones read as null", async () => {
  const path = join(folder, "a", "b", "file.json");
  expect(await systemDisk.read(path)).toBeNull();
  expect(await systemDisk.list(join(folder, "a"))).toEqual([]);
  await systemDisk.writeAtomic(path, "one");
  await systemDisk.writeAtomic(path, "two");
  expect(await systemDisk.read(path)).toBe("two");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, "a"))).mode & 0o777).toBe(0o700);
  expect(await systemDisk.list(join(folder, "a", "b"))).toEqual(["file.json"]);
  await systemDisk.remove(path);
  await systemDisk.remove(path);
  expect(await systemDisk.read(path)).toBeNull();
});

test("what killed processes left of a write goes, and nothing else", async () => {
  const draft = "pods.json.0123456789ab.tmp";
  const old = [draft, "proxy-p.json.abcdef012345.tmp", "pods.json", "notes.tmp"];
  for (const name of old) {
    await writeFile(join(folder, name), "");
    await utimes(join(folder, name), 1, 1);
  }
  await writeFile(join(folder, "pods.json.ba9876543210.tmp"), "");
  await removeDrafts(folder);
  await removeDrafts(join(folder, "absent"));
  const left = ["notes.tmp", "pods.json", "pods.json.ba9876543210.tmp"];
  expect((await systemDisk.list(folder)).filter((name) => name.endsWith(".tmp") || old.includes(name))).toEqual(left);
});

test("what the disk refuses is a DISK_ERROR that names the path", async () => {
  await writeFile(join(folder, "file"), "");
  const below = join(folder, "file", "x");
  await expect(systemDisk.writeAtomic(below, "y")).rejects.toMatchObject({
    code: "DISK_ERROR",
    message: expect.stringContaining(below) as string,
  });
});

test("a data folder that cannot be made is refused at once, also below /proc", async () => {
  for (const path of ["/proc/swain/run", "/proc/self/swain/a/b", join(folder, "file", "a")]) {
    await writeFile(join(folder, "file"), "");
    expect(() => makeFolder(path), path).toThrow(expect.objectContaining({ code: "DISK_ERROR" }));
  }
  makeFolder(join(folder, "a", "b", "c"));
  makeFolder(join(folder, "a", "b", "c"));
  for (const name of ["a", "a/b", "a/b/c"]) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o700);
});
