import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it, onTestFinished } from "vitest";
import type { Driver, DriverIdentity } from "../../services/agent/runtime/driver.ts";
import { openCgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { runExec } from "../../services/agent/runtime/process/exec.ts";
import { readMarks } from "../../services/agent/runtime/process/marks.ts";
import { trimOutput } from "../../services/agent/runtime/process/output.ts";
import { allProcesses, bootId, processStat } from "../../services/agent/runtime/process/proc.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import {
  codeOf,
  ended,
  exec,
  newCluster,
  patience,
  readLines,
  readLogs,
  ready,
  run,
  runReady,
  specOf,
  Stage,
} from "../conformance/driver-support.ts";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";
import { ManualClock } from "../support/agent.ts";
import { PowerCut } from "../support/power-cut.ts";
import { programOf, wrapperOf } from "../support/processes.ts";

const data = mkdtempSync(join(tmpdir(), "swain-processes-"));
const cgroups = await openCgroups(systemClock);
const shell = (script: string): Program => ({ process: { command: ["/bin/sh", "-c", script] } });
const idle = shell("echo up; exec sleep 1000");
const folderOf = (id: string): string => join(data, "processes", id);

const makeDriver = (identity: () => DriverIdentity | null): Driver =>
  createProcessDriver({ data, identity, clock: systemClock, sockets: systemSockets, log: silent, cgroups });

const stage = new Stage({ makeDriver, capabilities: {} as DriverFixture["capabilities"] });
afterEach(() => stage.clear());
afterAll(() => rmSync(data, { recursive: true, force: true }));

const alive = async (pid: number): Promise<boolean> => (await processStat(pid)) !== null;
const gone = (pid: number): Promise<void> => expect.poll(() => alive(pid), patience).toBe(false);

it("a signal's number is added to 128, whoever sent it", async () => {
  const driver = stage.driver();
  const codes = await Promise.all(
    ["SEGV", "TERM", "INT", "QUIT", "KILL", "USR1"].map(async (name) => {
      const { id } = await run(driver, specOf(shell(`ulimit -c 0; kill -${name} $$; sleep 5`)));
      return (await ended(driver, id)).exitCode;
    }),
  );
  expect(codes).toEqual([139, 143, 130, 131, 137, 138]);
});

it("signals for the whole group neither end the wrapper nor spoil the exit code", async () => {
  const driver = stage.driver();
  const script = 'trap "asked=yes" TERM; echo up; while [ -z "$asked" ]; do sleep 0.01; done; sleep 0.1; exit 9';
  const codes = (name: "SIGTERM" | "SIGUSR1", times: number): Promise<unknown[]> =>
    Promise.all(
      Array.from({ length: 8 }, async () => {
        const { id } = await runReady(driver, specOf(shell(script)), "up");
        const wrapper = await wrapperOf(data, id);
        for (let time = 0; time < times; time += 1) process.kill(-wrapper, name);
        const { exitCode } = await ended(driver, id);
        expect((await readLogs(driver, id, false)).stderr).not.toContain("User");
        return exitCode;
      }),
    );
  expect(new Set(await codes("SIGTERM", 1))).toEqual(new Set([9]));
  expect(new Set(await codes("SIGTERM", 5))).toEqual(new Set([9]));
  expect(new Set(await codes("SIGUSR1", 1))).toEqual(new Set([138]));
});

it("a program gets PATH and HOME of the agent, its own variables and Swain's, and nothing else of the agent's", async () => {
  process.env["SWAIN_CREDS"] = "/secret";
  try {
    const driver = stage.driver();
    const ports = [{ name: "http-admin" }];
    const env = [
      { name: "A", value: "mine" },
      { name: "SWAIN_POD", value: "forged" },
    ];
    const spec = specOf({ ...shell("env; pwd; sleep 1"), env, ports });
    const { id, ports: chosen } = await run(driver, spec);
    await ended(driver, id);
    const lines = (await readLogs(driver, id, false)).stdout.trim().split("\n");
    const expected = [`PATH=${process.env["PATH"]}`, `HOME=${process.env["HOME"]}`, "A=mine", `SWAIN_POD=${spec.pod}`];
    expect(lines).toEqual(expect.arrayContaining(expected));
    expect(lines.find((line) => line.startsWith("SWAIN_PORT_"))).toBe(
      `SWAIN_PORT_HTTP_ADMIN=${chosen[0]?.hostPort ?? ""}`,
    );
    expect(lines.join("\n")).not.toContain("/secret");
    const names = lines.slice(0, -1).map((line) => line.split("=")[0]);
    expect(
      names.filter(
        (name) => !/^(PATH|HOME|A|SWAIN_(POD|PORT_HTTP_ADMIN|PROCESS_RUN)|PWD|OLDPWD|SHLVL|_)$/.test(name ?? ""),
      ),
    ).toEqual([]);
    expect(lines.at(-1)).toBe("/");
  } finally {
    delete process.env["SWAIN_CREDS"];
  }
});

it("what may hold secrets is readable by this user alone", async () => {
  const driver = stage.driver();
  const { id } = await run(driver, specOf(idle));
  for (const name of readdirSync(folderOf(id))) {
    expect(statSync(join(folderOf(id), name)).mode & 0o077).toBe(0);
  }
  expect(statSync(folderOf(id)).mode & 0o077).toBe(0);
});

it("a program leads nothing of ours: session and group are its own, so it outlives the agent", async () => {
  const driver = stage.driver();
  const { id } = await run(driver, specOf(idle));
  const program = await programOf(data, id);
  const group = (await processStat(program))?.group;
  expect(group).toBe(await wrapperOf(data, id));
  expect(group).not.toBe((await processStat(process.pid))?.group);
  const session = Number(readFileSync(`/proc/${program}/stat`, "utf8").split(") ")[1]?.split(" ")[3]);
  expect(session).toBe(group);
});

it("what a program leaves behind ends with it", async () => {
  const driver = stage.driver();
  const { id } = await run(driver, specOf(shell("sleep 1000 & sleep 1000 & sleep 0.2; exit 4")));
  const wrapper = await wrapperOf(data, id);
  expect(await ended(driver, id)).toMatchObject({ exitCode: 4 });
  const group = async (): Promise<number[]> =>
    (await allProcesses()).filter(({ group }) => group === wrapper).map(({ pid }) => pid);
  try {
    await expect.poll(group, patience).toEqual([]);
  } finally {
    for (const pid of await group()) process.kill(pid, "SIGKILL");
  }
});

it("a killed wrapper leaves no unseen program: it is running until it ends, and then nobody knows how", async () => {
  const driver = stage.driver();
  const changes: string[] = [];
  const cancel = driver.watch({ onChange: (id) => changes.push(id), onResync: () => {} });
  const { id } = await runReady(driver, specOf(idle), "up");
  const program = await programOf(data, id);
  process.kill(await wrapperOf(data, id), "SIGKILL");
  await gone(await wrapperOf(data, id));
  expect(await driver.inspect(id)).toMatchObject({ state: "running" });
  expect((await driver.start(id)).state).toBe("running");
  expect((await driver.usage([id])).get(id)?.memoryBytes).toBeGreaterThan(0);
  changes.length = 0;
  process.kill(program, "SIGKILL");
  await expect.poll(() => changes, patience).toContain(id);
  expect(await driver.inspect(id)).toMatchObject({ state: "exited", exitCode: null });
  const again = await runReady(driver, specOf(idle), "up");
  const orphan = await programOf(data, again.id);
  process.kill(await wrapperOf(data, again.id), "SIGKILL");
  await driver.stop(again.id, 5000);
  expect(await alive(orphan)).toBe(false);
  cancel();
});

it("a program whose first thread has ended runs on with the others, and can be ended", async () => {
  const driver = stage.driver();
  // exit(2) ends the calling thread alone; its number differs between platforms.
  const exit = process.arch === "arm64" ? 93 : 60;
  const perl = `use threads; $SIG{TERM} = "IGNORE"; threads->create(sub { $| = 1; print "up\\n"; sleep 1000 }); syscall(${exit}, 0)`;
  const threaded: Program = { process: { command: ["/usr/bin/perl", "-e", perl] } };
  const { id } = await runReady(driver, specOf(threaded), "up");
  const program = await programOf(data, id);
  const firstThread = (): string => readFileSync(`/proc/${program}/stat`, "utf8").split(") ")[1]?.slice(0, 1) ?? "";
  await expect.poll(firstThread, patience).toBe("Z");
  expect((await driver.usage([id])).get(id)?.memoryBytes).toBeGreaterThan(4e6);
  process.kill(await wrapperOf(data, id), "SIGKILL");
  await gone(await wrapperOf(data, id));
  expect(await driver.inspect(id)).toMatchObject({ state: "running" });
  await driver.stop(id, 0);
  await gone(program);
  expect(await driver.inspect(id)).toMatchObject({ state: "exited" });
});

it("a pid that now belongs to somebody else is not taken for the process, and not signalled", async () => {
  const identity = { clusterUid: newCluster(), node: "n1" };
  const first = stage.driver(identity);
  const { id } = await run(first, specOf(idle));
  const wrapper = await wrapperOf(data, id);
  const pidFile = join(folderOf(id), "run-1", "pid");
  const real = readFileSync(pidFile, "utf8");
  const second = makeDriver(() => identity);
  try {
    // This test's own process, with a start time that is not its own.
    writeFileSync(pidFile, `${process.pid} 1 ${await bootId()}\n`);
    expect(await second.inspect(id)).toMatchObject({ state: "exited", exitCode: null });
    await second.stop(id, 0);
    rmSync(join(folderOf(id), "run-1", "exit"));
    // The right process, of another boot.
    writeFileSync(pidFile, real.replace(await bootId(), "another-boot"));
    expect(await second.inspect(id)).toMatchObject({ state: "exited", exitCode: null });
  } finally {
    rmSync(join(folderOf(id), "run-1", "exit"), { force: true });
    writeFileSync(pidFile, real);
  }
  expect(await second.inspect(id)).toMatchObject({ state: "running" });
  await second.stop(id, 0);
  await gone(wrapper);
  await second.close();
});

it("a program that ended with 0 before its machine was started may have been asked to: its end is not observed", async () => {
  const identity = { clusterUid: newCluster(), node: "n1" };
  const driver = stage.driver(identity);
  for (const [code, known] of [
    [0, null],
    [3, 3],
  ]) {
    const { id } = await run(driver, specOf(shell(`exit ${code}`)));
    await expect.poll(() => driver.inspect(id), patience).toMatchObject({ state: "exited", exitCode: code });
    const pidFile = join(folderOf(id), "run-1", "pid");
    writeFileSync(pidFile, readFileSync(pidFile, "utf8").replace(await bootId(), "another-boot"));
    expect(await driver.inspect(id)).toMatchObject({ state: "exited", exitCode: known });
  }
});

it("a start that an agent's end interrupted never comes through later", async () => {
  const identity = { clusterUid: newCluster(), node: "n1" };
  const driver = stage.driver(identity);
  const spec = specOf(idle);
  const id = await driver.create(spec);
  // As far as the first agent came: the run is named, its wrapper has not written a line.
  mkdirSync(join(folderOf(id), "run-1"));
  writeFileSync(join(folderOf(id), "run.json"), JSON.stringify({ number: 1, ports: [] }));
  expect(await driver.inspect(id)).toMatchObject({ state: "exited", exitCode: null });
  expect(readFileSync(join(folderOf(id), "run-1", "pid"), "utf8")).toBe("claimed\n");
  expect((await driver.start(id)).state).toBe("running");
  expect(existsSync(join(folderOf(id), "run-2"))).toBe(true);
});

it("a run is known after a power cut right after its start: a job is not run again for want of a file", async () => {
  const identity = { clusterUid: newCluster(), node: "n1" };
  const cut = await PowerCut.watch();
  onTestFinished(() => cut.end());
  const driver = stage.driver(identity);
  const { id } = await runReady(driver, specOf(idle), "up");
  const left = mkdtempSync(join(tmpdir(), "swain-power-cut-"));
  onTestFinished(() => rmSync(left, { recursive: true, force: true }));
  cut.leave(data, left);
  const ports = { clock: systemClock, sockets: systemSockets, log: silent, cgroups };
  const next = createProcessDriver({ data: left, identity: () => identity, ...ports });
  onTestFinished(() => next.close());
  // The agent that noted the start takes "created" for a start that did not come to pass.
  expect(await next.list()).toMatchObject([{ id, state: "exited", exitCode: null }]);
});

it("programs and folders that cannot be run are refused before the start", async () => {
  const driver = stage.driver();
  const code = (command: string, workingDir?: string): Promise<string> =>
    codeOf(run(driver, specOf({ process: { command: [command], ...(workingDir ? { workingDir } : {}) } })));
  expect(await code("no-such-command")).toBe("COMMAND_NOT_FOUND");
  expect(await code("/etc/passwd")).toBe("COMMAND_NOT_FOUND");
  expect(await code("/etc")).toBe("COMMAND_NOT_FOUND");
  expect(await code("sh", "/nowhere")).toBe("COMMAND_NOT_FOUND");
  expect(await code("./run.sh", data)).toBe("COMMAND_NOT_FOUND");
  writeFileSync(join(data, "run.sh"), "#!/bin/sh\npwd\n", { mode: 0o700 });
  const { id } = await run(driver, specOf({ process: { command: ["./run.sh"], workingDir: data } }));
  await ended(driver, id);
  expect((await readLogs(driver, id, false)).stdout).toBe(`${data}\n`);
  expect(await codeOf(driver.create(specOf({ ...idle, volumes: [{ name: "v", mountPath: "/v" }] })))).toBe(
    "FIELD_UNSUPPORTED",
  );
  expect(await codeOf(run(driver, specOf({ image: "busybox" })))).toBe("ENGINE_ERROR");
});

it("all that a program run beside it printed arrives before its end, however long the client takes", async () => {
  const clock = new ManualClock();
  const command = ["head", "-c", "100000", "/dev/zero"];
  const launch = { prefix: [], command, folder: "/", env: { PATH: process.env["PATH"] ?? "" } };
  const options = { command, tty: null, stdin: false, signal: AbortSignal.timeout(15_000) };
  let makeRoom = (): void => {};
  const room = new Promise<void>((resolve) => {
    makeRoom = resolve;
  });
  let bytes = 0;
  const program = await runExec({ clock, running: async () => true }, launch, options, async (_, data) => {
    await room;
    bytes += data.length;
  });
  let code: number | null = null;
  void program.ended.then((exitCode) => {
    code = exitCode;
  });
  // Beside the look at its pod a second timer runs once it has ended.
  await expect.poll(() => clock.pending, patience).toBe(2);
  await clock.advance(60_000);
  expect(code).toBeNull();
  makeRoom();
  await expect.poll(() => clock.advance(10).then(() => code), patience).toBe(0);
  expect(bytes).toBe(100_000);
});

it("a program run beside it ends though its client left while it started", async () => {
  const command = ["sleep", "20"];
  const launch = { prefix: [], command, folder: "/", env: { PATH: process.env["PATH"] ?? "" } };
  const left = new AbortController();
  // After the last look at whether the client is there.
  const signal = Object.assign(left.signal, { throwIfAborted: () => queueMicrotask(() => left.abort()) });
  const parts = { clock: new ManualClock(), running: async () => true };
  const program = await runExec(parts, launch, { command, tty: null, stdin: false, signal }, async () => {});
  expect(await program.ended).toBe(128 + 9);
});

it("a program run beside it ends though it left one behind that prints on", async () => {
  const driver = stage.driver();
  const { id } = await run(driver, specOf(idle));
  const script = "setsid sh -c 'while sleep 0.3; do echo more; done' & echo mine; exit 3";
  const { code, stdout } = await exec(driver, id, ["sh", "-c", script]);
  expect(code).toBe(3);
  expect(stdout).toMatch(/^mine\n/);
});

it("twenty processes started at once have twenty ports", async () => {
  const driver = stage.driver();
  const ports = [{ name: "http" }];
  const infos = await Promise.all(Array.from({ length: 20 }, () => run(driver, specOf({ ...idle, ports }))));
  expect(new Set(infos.map((info) => info.ports[0]?.hostPort)).size).toBe(20);
});

it("output is kept within bounds while the program writes on, and read across the cut", async () => {
  const driver = stage.driver();
  const { id } = await runReady(driver, specOf(shell('echo up; read x < "$0.fifo" 2>/dev/null; sleep 1000')), "up");
  const file = join(folderOf(id), "run-1", "stdout.log");
  truncateSync(file, 0);
  const line = `${"x".repeat(99)}\n`;
  appendFileSync(file, line.repeat(150_000));
  await trimOutput(join(folderOf(id), "run-1"));
  expect(statSync(file).size).toBe(0);
  expect(statSync(`${file}.1`).size).toBeLessThanOrEqual(10 * 1024 * 1024);
  appendFileSync(file, "after\n");
  const { stdout } = await readLogs(driver, id, false);
  expect(stdout.endsWith(`${line}after\n`)).toBe(true);
  expect(stdout.startsWith(line)).toBe(true);
  expect((await readLogs(driver, id, false, 3)).stdout).toBe(`${line}${line}after\n`);
});

it("output that could not be cut is cut as soon as it can be", async () => {
  const driver = stage.driver();
  const { id } = await runReady(driver, specOf(idle), "up");
  const file = join(folderOf(id), "run-1", "stdout.log");
  const noted = async (): Promise<boolean> => (await readMarks(file)).at(-1)?.size === statSync(file).size;
  // As on a full disk, what is to be kept cannot be copied aside.
  mkdirSync(`${file}.new`);
  appendFileSync(file, `${"x".repeat(99)}\n`.repeat(110_000));
  await expect.poll(noted, patience).toBe(true);
  appendFileSync(file, "one more look\n");
  await expect.poll(noted, patience).toBe(true);
  rmSync(`${file}.new`, { recursive: true });
  await expect.poll(() => statSync(file).size, patience).toBe(0);
});

it("when lines were written is known after the output was cut, and by a later agent", { timeout: 30_000 }, async () => {
  const identity = { clusterUid: newCluster(), node: "n1" };
  const driver = stage.driver(identity);
  const { id } = await runReady(driver, specOf(idle), "up");
  const file = join(folderOf(id), "run-1", "stdout.log");
  const marked = (count: number) =>
    expect.poll(async () => (await readMarks(file)).length, patience).toBeGreaterThanOrEqual(count);
  await marked(1);
  appendFileSync(file, "early\n");
  await marked(2);
  const between = Date.now();
  appendFileSync(file, "late\n");
  await marked(3);
  const texts = async (reader: Driver, since: number) =>
    (await readLines(reader, id, { since })).map(({ text }) => text);
  expect(await texts(driver, between)).toEqual(["late\n"]);
  const later = stage.driver(identity);
  expect(await texts(later, between)).toEqual(["late\n"]);
  // Much more than is kept: the driver copies the newest part aside with the times of its lines.
  const line = `${"x".repeat(99)}\n`;
  appendFileSync(file, line.repeat(110_000));
  await expect.poll(() => statSync(file).size, patience).toBe(0);
  const afterwards = Date.now();
  appendFileSync(file, "after\n");
  expect(await texts(driver, afterwards)).toEqual(["after\n"]);
  const all = await readLines(driver, id);
  expect(all.length).toBeGreaterThan(100_000);
  expect(all[0]?.time).toBeGreaterThan(between - 50);
  expect(all.at(-2)?.time).toBeLessThanOrEqual(afterwards);
});

it("a follower sees lines as they come, waits for none twice, and is not lost when the file is cut", async () => {
  const driver = stage.driver();
  const { id } = await runReady(driver, specOf(idle), "up");
  const stop = new AbortController();
  let text = "";
  const reading = driver.logs(id, { follow: true, signal: stop.signal, tail: 0 }, async (_, chunk) => {
    text += chunk;
  });
  const file = join(folderOf(id), "run-1", "stdout.log");
  const say = async (line: string): Promise<void> => {
    // Said again until it is heard: the reader may not have begun.
    await expect.poll(() => (appendFileSync(file, line), text), { timeout: 5000, interval: 100 }).toContain(line);
  };
  await say("one\n");
  truncateSync(file, 0);
  await say("two\n");
  stop.abort();
  await reading;
});

it("two agents of one machine do not see each other's processes in a folder they share", async () => {
  const clusterUid = newCluster();
  const [one, two] = ["n1", "n2"].map((node) => stage.driver({ clusterUid, node }));
  const spec = specOf(idle);
  const info = await run(one!, spec);
  expect(await two!.list()).toEqual([]);
  await two!.remove(info.id);
  await ready(one!, info.id, "up");
});
