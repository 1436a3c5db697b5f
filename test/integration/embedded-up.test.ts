// `swain up` and `swain down` with real parts: what is started, what happens when parts or the supervisor are killed, and
// that nothing of it is left.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PodObject } from "../../schemas/generated/types.ts";
import { localPaths, readRecord } from "../../cli/local/layout.ts";
import type { ChildMark, UpRecord } from "../../cli/local/layout.ts";
import { isAlive, processStart } from "../../cli/local/processes.ts";
import { root, swain } from "../support/cluster.ts";
import type { Result } from "../support/cluster.ts";
import { anyServer, startServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";

// Every start is half a dozen Node processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let data: string;
let foreground: ChildProcess | undefined;

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "swain-up-"));
});

afterEach(async () => {
  foreground?.kill("SIGKILL");
  foreground = undefined;
  await run("down");
  rmSync(data, { recursive: true, force: true, maxRetries: 5 });
});

const run = (...args: string[]): Promise<Result> => swain([...args, "--data", data]);

/** `swain up --detach` with the process runtime. */
async function up(...args: string[]): Promise<Result> {
  const port = ["--port", String(await freePort())];
  const result = await run("up", "--detach", "--runtime", "process", ...port, ...args);
  expect(result.code, result.stdout + result.stderr).toBe(0);
  return result;
}

function record(): UpRecord {
  const found = readRecord(data);
  if (found === null) throw new Error("there is no up.json");
  return found;
}

function child(name: string): ChildMark {
  const found = record().children.find((mark) => mark.name === name);
  if (found === undefined) throw new Error(`${name} does not run`);
  return found;
}

/** One pod that is a process of this machine, and that process. `stop` is how it takes to be told to end. */
async function deploy(stop: object = {}, onStop = "process.exit()"): Promise<{ pid: number; start: string | null }> {
  const pidFile = join(data, "pid");
  const script = `require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000); process.on("SIGTERM", () => { ${onStop} })`;
  const manifest = {
    apiVersion: "swain/v1",
    kind: "Workload",
    metadata: { name: "idle" },
    spec: {
      replicas: 1,
      ...stop,
      containers: [{ name: "main", process: { command: [process.execPath, "-e", script] } }],
    },
  };
  writeFileSync(join(data, "idle.json"), JSON.stringify(manifest));
  const applied = await run("apply", "-f", join(data, "idle.json"), "--wait");
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  await expect.poll(() => existsSync(pidFile)).toBe(true);
  const pid = Number(readFileSync(pidFile, "utf8"));
  return { pid, start: processStart(pid) };
}

/** All files that stay; drafts of an atomic write come and go. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function pods(): Promise<PodObject[]> {
  const result = await run("get", "pods", "-o", "json");
  return (JSON.parse(result.stdout) as { items: PodObject[] }).items;
}

test("up --detach returns when everything is ready and says what it started; down stops all of it", async () => {
  const { stdout } = await up("--nodes", "2");
  const { server, children, supervisor } = record();
  expect(children.map((mark) => mark.name).toSorted()).toEqual([
    "agent-node-1",
    "agent-node-2",
    "controller-1",
    "nats-server",
    "proxy-1",
  ]);
  expect(stdout).toMatch(/^nats-server \d+\.\d+\.\d+ at \/\S+ \(found: /m);
  expect(stdout).toContain(`NATS at ${server}`);
  expect(stdout).toContain("2 nodes with runtime process: asked for");
  // Nothing of it hangs on this terminal, so Ctrl-C is no way to stop it.
  expect(stdout).toContain(`; stop it with \`swain down --data ${data}\``);
  expect(stdout).toContain(
    `watch it: nats --server ${server} --nkey ${join(data, "creds", "operator.nk")} sub 'swain.default.feed.>'`,
  );
  for (const path of ["creds", "nats", "log", "run"]) expect(statSync(join(data, path)).mode & 0o777).toBe(0o700);
  // The server would give its own files to the group, too.
  const files = filesBelow(data);
  expect(files.filter((path) => path.startsWith(join(data, "nats", "store"))).length).toBeGreaterThan(0);
  expect(files.filter((path) => (statSync(path).mode & 0o777) !== 0o600)).toEqual([]);

  const again = await run("up", "--detach", "--runtime", "process");
  expect(again.code).toBe(1);
  expect(again.stderr).toContain("ALREADY_RUNNING");
  expect(record().supervisor).toEqual(supervisor);

  const context = await run("nats-context");
  expect(JSON.parse(context.stdout)).toMatchObject({ url: server, nkey: join(data, "creds", "operator.nk") });

  const down = await run("down");
  expect(down.stdout).toMatch(/^stopped supervisor \(\d+\), nats-server \(\d+\)/);
  expect([...children, supervisor].filter(isAlive)).toEqual([]);
  const nothing = await run("down");
  expect([nothing.code, nothing.stderr]).toEqual([3, expect.stringContaining("NOT_RUNNING")]);
});

test("a folder whose run/ was removed below a running cluster is not taken twice, and down stops it all", async () => {
  await up();
  const { children, supervisor, ...rest } = record();
  rmSync(join(data, "run"), { recursive: true });
  const again = await run("up", "--detach", "--runtime", "process");
  const server = children.find(({ kind }) => kind === "nats");
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("ALREADY_RUNNING")]);
  expect(again.stderr).toContain(`runs (${server?.pid}, started by supervisor ${supervisor.pid})`);
  // A part that is started again has the supervisor write its record, but no lock.
  mkdirSync(join(data, "run"));
  writeFileSync(join(data, "run", "up.json"), JSON.stringify({ ...rest, children, supervisor }));
  const third = await run("up", "--detach", "--runtime", "process");
  expect([third.code, third.stderr]).toEqual([1, expect.stringContaining(`(supervisor ${supervisor.pid})`)]);
  rmSync(join(data, "run"), { recursive: true });
  const down = await run("down");
  expect([down.code, down.stdout]).toEqual([0, expect.stringContaining(`stopped supervisor (${supervisor.pid})`)]);
  expect([...children, supervisor].filter(isAlive)).toEqual([]);
});

/** A process that takes the lock of a data folder at a given moment, and tells whether it has it. */
const locker = `
  import { takeLock } from ${JSON.stringify(join(root, "dist/cli/local/lock.js"))};
  import { localPaths } from ${JSON.stringify(join(root, "dist/cli/local/layout.js"))};
  process.on("message", ({ folder, at }) => {
    while (Date.now() < at);
    let said = "taken";
    try { takeLock(localPaths(folder)); } catch (error) { said = error.code; }
    process.send(said);
  });
  process.send("up");`;

test("of several that find the lock of a supervisor that is gone in the same moment, one has the folder", async () => {
  const lockers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ["--input-type=module", "-e", locker], { stdio: ["ignore", "inherit", "inherit", "ipc"] }),
  );
  try {
    const heard = (): Promise<string[]> =>
      Promise.all(lockers.map(async (one) => ((await once(one, "message")) as [string])[0]));
    await heard();
    for (let round = 0; round < 150; round += 1) {
      const folder = join(data, String(round));
      mkdirSync(join(folder, "run"), { recursive: true });
      writeFileSync(join(folder, "run", "lock"), JSON.stringify({ pid: process.pid, start: "an earlier process" }));
      const answers = heard();
      for (const one of lockers) one.send({ folder, at: Date.now() + 15 });
      expect((await answers).toSorted()).toEqual([...Array.from({ length: 3 }, () => "ALREADY_RUNNING"), "taken"]);
    }
  } finally {
    for (const one of lockers) one.kill("SIGKILL");
  }
});

test("a killed part is started again", async () => {
  await up();
  const before = child("proxy-1");
  process.kill(before.pid, "SIGKILL");
  await expect.poll(() => safely(() => child("proxy-1").pid), { timeout: 15_000 }).not.toBe(before.pid);
  await expect.poll(() => isAlive(child("proxy-1"))).toBe(true);
});

test("where no log takes a line, as on a full disk, all of it starts and lives on, and a killed part is started again", async () => {
  mkdirSync(join(data, "log"));
  for (const name of ["up", "nats-server", "controller-1", "agent-node-1", "proxy-1"]) {
    symlinkSync("/dev/full", join(data, "log", `${name}.log`));
  }
  await up();
  const { children, supervisor } = record();
  const killed = child("proxy-1");
  process.kill(killed.pid, "SIGKILL");
  const others = [supervisor, ...children].filter(({ pid }) => pid !== killed.pid);
  await expect
    .poll(() => safely(() => child("proxy-1").pid !== killed.pid && isAlive(child("proxy-1"))), { timeout: 15_000 })
    .toBe(true);
  expect(others.filter((mark) => !isAlive(mark))).toEqual([]);
  expect((await run("down")).code).toBe(0);
});

test("a killed nats-server is started again on the same port, and the cluster goes on", async () => {
  await up();
  const { server } = record();
  const before = child("nats-server");
  process.kill(before.pid, "SIGKILL");
  await expect.poll(() => safely(() => child("nats-server").pid), { timeout: 15_000 }).not.toBe(before.pid);
  expect(record().server).toBe(server);
  await deploy();
});

test("state and keys outlive down and up", async () => {
  await up();
  const pod = await deploy();
  const key = readFileSync(join(data, "creds", "operator.nk"), "utf8");
  await run("down");
  expect(processStart(pod.pid)).not.toBe(pod.start);
  await up();
  expect(readFileSync(join(data, "creds", "operator.nk"), "utf8")).toBe(key);
  await expect
    .poll(async () => (await pods()).map((each) => each.status.state), { timeout: 20_000 })
    .toEqual(["ready"]);
});

test("after a killed supervisor, up takes over and the pods run on untouched", async () => {
  await up();
  const pod = await deploy();
  const before = record();
  process.kill(before.supervisor.pid, "SIGKILL");
  await expect.poll(() => isAlive(before.supervisor)).toBe(false);
  expect(before.children.filter(isAlive)).toHaveLength(before.children.length);
  const { stdout } = await up();
  expect(stdout).toContain("ended what an earlier run left behind: ");
  expect(before.children.filter(isAlive)).toEqual([]);
  expect(processStart(pod.pid)).toBe(pod.start);
  await expect
    .poll(async () => (await pods()).map((each) => `${each.metadata.name} ${each.status.state}`), { timeout: 20_000 })
    .toEqual(["idle-1 ready"]);
  expect(processStart(pod.pid)).toBe(pod.start);
});

test("after a killed supervisor, down stops what is left, pods included", async () => {
  await up();
  const pod = await deploy();
  const before = record();
  process.kill(before.supervisor.pid, "SIGKILL");
  const down = await run("down");
  expect(down.code, down.stderr).toBe(0);
  expect(before.children.filter(isAlive)).toEqual([]);
  expect(processStart(pod.pid)).not.toBe(pod.start);
});

test("with --keep-pods the pods run on after down and are taken over by the next up", async () => {
  await up("--keep-pods");
  const pod = await deploy();
  await run("down");
  expect(processStart(pod.pid)).toBe(pod.start);
  await up();
  await expect
    .poll(async () => (await pods()).map((each) => each.status.state), { timeout: 20_000 })
    .toEqual(["ready"]);
  expect(processStart(pod.pid)).toBe(pod.start);
});

test("an up that does not get ready leaves the pods it found to the next one", async () => {
  await up("--keep-pods", "--nodes", "2");
  const pod = await deploy();
  const [{ spec }] = (await pods()) as [PodObject];
  await run("down");
  const other = localPaths(data).node(spec.node === "node-1" ? "node-2" : "node-1");
  rmSync(other, { recursive: true });
  writeFileSync(other, "no folder");
  const failed = await run("up", "--detach", "--runtime", "process", "--nodes", "2");
  expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining("PART_NOT_STARTED")]);
  expect(processStart(pod.pid)).toBe(pod.start);
  expect(failed.stdout).toContain("pods were left as they are; the next `swain up` goes on with them");
  expect(readRecord(data)?.children ?? []).toEqual([]);
  rmSync(other);
  await up("--nodes", "2");
  await expect
    .poll(async () => (await pods()).map((each) => each.status.state), { timeout: 20_000 })
    .toEqual(["ready"]);
  expect(processStart(pod.pid)).toBe(pod.start);
});

test(
  "down ends pods whose grace period is longer than it may take, and names the agent that could not be asked to",
  {
    timeout: 200_000,
  },
  async () => {
    await up("--nodes", "2");
    const pod = await deploy({ stopGracePeriod: "90s" }, "");
    const [{ spec }] = (await pods()) as [PodObject];
    const frozen = spec.node === "node-1" ? "agent-node-2" : "agent-node-1";
    process.kill(child(frozen).pid, "SIGSTOP");
    const down = await run("down");
    expect(processStart(pod.pid)).not.toBe(pod.start);
    expect([down.code, down.stdout]).toEqual([1, expect.stringMatching(/^stopped supervisor /)]);
    expect(down.stderr).toContain(`PODS_LEFT: agents ended before all their pods, which may run on: ${frozen} (`);
    expect(down.stderr.match(/agent-node-\d \(/g)).toEqual([`${frozen} (`]);
    expect(readRecord(data)).toBeNull();
  },
);

test("down says that pods may run on whose agent does not run", async () => {
  await up("--no-restart");
  const { pid } = child("agent-node-1");
  process.kill(pid, "SIGKILL");
  await expect.poll(() => record().children.map(({ name }) => name)).not.toContain("agent-node-1");
  const down = await run("down");
  expect([down.code, down.stderr]).toEqual([1, expect.stringContaining("PODS_LEFT")]);
});

test("Ctrl-C stops a cluster in the foreground, pods included, and up ends with 0", async () => {
  const args = ["up", "--data", data, "--runtime", "process", "--port", String(await freePort())];
  const started = spawn(process.execPath, [join(root, "dist/cli/main.js"), ...args], { stdio: "ignore" });
  foreground = started;
  const code = new Promise((resolve) => started.once("exit", resolve));
  await expect.poll(() => readRecord(data)?.ready, { timeout: 30_000 }).toBe(true);
  const { children } = record();
  const pod = await deploy();
  started.kill("SIGINT");
  expect(await code).toBe(0);
  expect(children.filter(isAlive)).toEqual([]);
  expect(processStart(pod.pid)).not.toBe(pod.start);
  expect(readRecord(data)).toBeNull();
});

test("Ctrl-C while the parts are starting leaves nothing running", async () => {
  const args = ["up", "--data", data, "--runtime", "process", "--port", String(await freePort())];
  const started = spawn(process.execPath, [join(root, "dist/cli/main.js"), ...args], { stdio: "ignore" });
  foreground = started;
  const code = new Promise((resolve) => started.once("exit", resolve));
  await expect.poll(() => readRecord(data)?.children.length ?? 0, { timeout: 30_000 }).toBeGreaterThan(1);
  const { children } = record();
  started.kill("SIGINT");
  expect(await code).toBe(130);
  expect(children.filter(isAlive)).toEqual([]);
  expect(readRecord(data)).toBeNull();
});

test("a taken port is refused by name, and nothing is left running", async () => {
  const other = await startServer(anyServer());
  try {
    const result = await run("up", "--detach", "--runtime", "process", "--port", String(other.port));
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`PORT_IN_USE: something listens at 127.0.0.1:${other.port} already`);
    expect(readRecord(data)?.children ?? []).toEqual([]);
  } finally {
    await other.dispose();
  }
});

test("with --server the parts use that server and no other is started", async () => {
  const other = await startServer(anyServer());
  try {
    const result = await run("up", "--detach", "--runtime", "sim", "--nodes", "5", "--server", other.url);
    expect(result.code, result.stdout + result.stderr).toBe(0);
    expect(
      record()
        .children.map((mark) => mark.kind)
        .toSorted(),
    ).toEqual(["agent", "controller", "proxy"]);
    await expect
      .poll(async () => (await run("get", "nodes", "-o", "name")).stdout.trim().split("\n").length, { timeout: 20_000 })
      .toBe(5);
    await run("down");
  } finally {
    await other.dispose();
  }
});

test("a server that cannot be used ends up with the reason, and nothing is left running", async () => {
  const named = join(data, "no-server");
  const result = await run("up", "--detach", "--runtime", "process", "--nats-server", named);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain(`NATS_SERVER_MISSING: --nats-server names ${named}: there is no such program`);
  expect(existsSync(join(data, "run", "lock"))).toBe(false);
});

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
