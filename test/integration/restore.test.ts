// A backup brings the log back, record by record, and a new log that names it as its parent.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { BackupWriter, checkBackup, partsOf } from "../../cli/backup-file.ts";
import type { Event, Feed, NodeObject, PodObject } from "../../schemas/generated/types.ts";
import { startAgent } from "../../services/agent/main.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { restoreLog } from "../../services/controller/restore.ts";
import type { SavedPart } from "../../services/controller/restore.ts";
import { verifyState } from "../../services/controller/verify.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Running } from "../../services/kernel/running.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { runCli, startCli } from "../support/cli.ts";
import type { CliRun } from "../support/cli.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";

const main = join(import.meta.dirname, "../../dist/cli/main.js");

describeServers("backup and restore", (binary) => {
  let world: RealWorld;
  let folder: string;
  let file: string;
  const cleanups: (() => Promise<unknown>)[] = [];
  const cli = (...args: string[]) =>
    runCli([
      ...args,
      "--server",
      world.server.url,
      ...(args.includes("--cluster") ? [] : ["--cluster", world.cluster]),
    ]);
  const at = (): string[] => ["--server", world.server.url, "--cluster", world.cluster];
  const follow = (last: string): CliRun => {
    const run = startCli(["events", "-f", "--last", last, "-o", "json", ...at()]);
    cleanups.push(() => (run.interrupt(), run.done));
    return run;
  };
  const stream = subjectsOf("test").stream;
  const controller = async (id: string): Promise<() => Promise<void>> => {
    const { controller: started } = await startTestController(world, id);
    cleanups.push(() => started.stop());
    return () => started.stop();
  };
  const anew = async (): Promise<unknown> =>
    (await world.connect()).request(`$JS.API.STREAM.DELETE.${stream}`, undefined, { timeoutMs: 5000 });
  const restore = async () => {
    const bus = await world.connect();
    const { clusterUid: uid } = await checkBackup(file);
    return restoreLog(workPorts(bus, world.cluster), partsOf(file), { of: { name: world.cluster, uid }, force: false });
  };

  beforeEach(async () => {
    world = await openWorld(binary);
    folder = mkdtempSync(join(tmpdir(), "swain-backup-"));
    file = join(folder, "a.backup");
  });
  afterEach(async () => {
    await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("gives back every record at its sequence, strays among them, and a state that verifies", async () => {
    const stop = await controller("c1");
    const client = new TestClient(await world.connect(), world.cluster);
    await client.leader();
    const agent = await TestAgent.start(world, "n1");
    cleanups.push(() => agent.vanish());
    await until("the node", async () => (await client.list("node")).length === 1);
    // JSON leaves U+2028 and U+2029 as they are; they end a line elsewhere.
    const env = [{ name: "MOTTO", value: "one\u2028two\u2029three" }];
    const containers = [{ name: "main", image: "app:1", ports: [{ name: "http", containerPort: 80 }], env }];
    await client.apply([workloadManifest("web", { replicas: 3, containers }), serviceManifest("web")]);
    client.bus.publish(client.subjects.event("pod", "default", "x", "y"), new Uint8Array([0xff, 0x00, 0x7b]));
    await until("three are ready", async () => {
      const pods = await client.list<PodObject>("pod");
      return pods.length === 3 && pods.every(({ status }) => status.state === "ready");
    });
    const made = await cli("backup", file);
    expect(made.code, made.stderr).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const header = await checkBackup(file);
    const before = new Map<number, string>();
    const log = client.bus.log(stream);
    await log.read(1, ({ sequence, data }) => before.set(sequence, Buffer.from(data).toString("hex")));
    const { logId } = await client.status();
    expect(header).toMatchObject({ cluster: "test", logId });
    const running = await restore().catch((error: unknown) => error);
    expect(running).toMatchObject({ code: "CONTROLLER_RUNS" });
    await stop();
    const full = await cli("restore", file);
    expect(full.stderr).toMatch(/LOG_NOT_EMPTY/);

    await world.server.kill();
    world.server.wipe();
    await world.server.start();
    await until("the server is back", () => client.bus.state() === "connected");
    const restored = await restore();
    expect(restored).toMatchObject({ parent: logId, sequence: header.sequence + 1, pods: 3 });
    const after = new Map<number, string>();
    await log.read(1, ({ sequence, data }) => after.set(sequence, Buffer.from(data).toString("hex")));
    for (let sequence = 1; sequence <= header.sequence; sequence++) {
      expect(after.get(sequence), `record ${sequence}`).toBe(before.get(sequence));
    }
    await controller("c2");
    await client.leader();
    expect((await client.status())["logId"]).toBe(restored.logId);
    const state = await verifyState(workPorts(await world.connect(), world.cluster));
    expect(state.differences).toEqual([]);
    expect(state.foreign).toBe(1);
  });

  it("is followed by `events -f`, which tells what the restored log adds, each event once", async () => {
    const stop = await controller("c1");
    const client = new TestClient(await world.connect(), world.cluster);
    await client.leader();
    await client.apply([workloadManifest("kept")]);
    await cli("backup", file);
    for (let n = 0; n < 20; n++) await client.apply([workloadManifest(`lost${n}`)]);
    const early = follow("100");
    await until("the end of the first log", () => early.stdout().includes("lost19"));
    await stop();
    await world.server.kill();
    world.server.wipe();
    await world.server.start();
    await until("the server is back", () => client.bus.state() === "connected");
    const { logId } = await restore();
    await controller("c2");
    await client.leader();
    await client.apply([workloadManifest("after-restore")]);
    await until("a change of the restored log", () => early.stdout().includes("after-restore"));

    // After a reconnect the missed ones are asked for, and the answer begins with events of the first log.
    const late = follow("1");
    await until("its first event", () => late.stdout() !== "");
    await world.server.kill();
    await world.server.start();
    await client.leader();
    await client.apply([workloadManifest("after-return")]);
    const listed = (await client.list<Feed>("event")).map(({ id }) => id);
    const shown = (run: CliRun): string[] => Array.from(run.stdout().matchAll(/"id":"([^"]+)"/g), ([, id]) => id ?? "");
    await until("both are at the end", () => [early, late].every((run) => shown(run).includes(listed.at(-1) ?? "")));
    const isNew = (id: string): boolean => id.startsWith(`${logId}.`);
    const told = shown(early);
    expect(new Set(told).size).toBe(told.length);
    expect(told.filter(isNew).slice(0, listed.filter(isNew).length)).toEqual(listed.filter(isNew));
    expect(new Set(shown(late)).size).toBe(shown(late).length);
    expect(shown(late).filter((id) => !isNew(id))).toEqual([]);
  });

  it("leaves no file where its last line does not fit", async () => {
    const stop = await controller("c1");
    await new TestClient(await world.connect(), world.cluster).leader();
    await stop();
    await cli("backup", file);
    // As on a disk that fills up: the last write that has some room takes a part, without an error.
    const limit = `--fsize=${statSync(file).size - 10}`;
    const args = ["backup", join(folder, "b.backup"), ...at()];
    const made = promisify(execFile)("prlimit", [limit, process.execPath, main, ...args]);
    await expect(made).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/DISK_ERROR: EFBIG/) as string });
    expect(readdirSync(folder)).toEqual(["a.backup"]);
  });

  it("that ends half-way is led by no controller: what it has not written is no less wanted", async () => {
    const stop = await controller("c1");
    const client = new TestClient(await world.connect(), world.cluster);
    await client.leader();
    await client.apply([workloadManifest("web", { replicas: 3 }), serviceManifest("web")]);
    await cli("backup", file);
    await stop();
    const log = client.bus.log(stream);
    await anew();
    async function* half(): AsyncGenerator<SavedPart> {
      let left = 2;
      for await (const part of partsOf(file)) {
        if (left-- === 0) throw new Error("the power is gone");
        yield part;
      }
    }
    const { clusterUid: uid } = await checkBackup(file);
    const options = { of: { name: world.cluster, uid }, force: false };
    const broken = restoreLog(workPorts(client.bus, world.cluster), half(), options);
    await expect(broken).rejects.toThrow("the power is gone");

    for (const args of [
      ["controller", "--id", "c2"],
      ["backup", join(folder, "of-a-part")],
      ["restore", file],
    ]) {
      const refused = await cli(...args);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/LOG_RESTORING: .* stream \S+, or that was broken off.*delete that first/s);
    }
    expect([await log.get(2), await log.get(3)]).toEqual([expect.objectContaining({ sequence: 2 }), null]);
    await anew();
    const whole = await cli("restore", file);
    expect(whole.code, whole.stderr).toBe(0);
    const outcomes = (await ensureStreams(client.bus, world.cluster, { replicas: 1 })).map(({ outcome }) => outcome);
    expect(new Set(outcomes)).toEqual(new Set(["unchanged"]));
  });

  it("that is made twice: a node whose agent followed the first is unheard, until that begins with an empty folder", async () => {
    let stop = await controller("c1");
    const client = new TestClient(await world.connect(), world.cluster);
    await client.leader();
    const agent = async (data: string): Promise<Running> => {
      const options = { server: world.server.url, cluster: world.cluster, log: silent, advertise: "127.0.0.1" };
      const started = await startAgent({ ...options, id: "n1", runtime: "sim", data: join(folder, data) });
      cleanups.push(() => started.stop());
      return started;
    };
    const first = await agent("first");
    const isReady = (name: string) => async () => {
      const pods = await client.list<PodObject>("pod");
      return pods.some(({ metadata, status }) => metadata.name.startsWith(`${name}-`) && status.state === "ready");
    };
    const node = async () => (await client.list<NodeObject>("node"))[0]?.status;
    const run = (name: string) => client.apply([workloadManifest(name, { replicas: 1, lostAfter: "5s" })]);
    await until("the node", async () => (await node()) !== undefined);
    await run("one");
    await until("a pod", isReady("one"));
    await cli("backup", file);
    for (const [index, name] of ["two", "three"].entries()) {
      await stop();
      await anew();
      await restore();
      stop = await controller(`c${index + 2}`);
      await client.leader();
      await run(name);
      if (name === "two") await until("a pod of the first restored log", isReady(name));
    }
    // As it answers pings, it was ready for ever, and so were its pods to start.
    const unheard = await until("nobody counts on the node", async () => {
      const status = await node();
      return status?.state === "unknown" ? status : undefined;
    });
    expect(unheard).toMatchObject({ reason: "LOG_UNKNOWN" });
    expect(await client.status()).toMatchObject({ strangers: ["n1"] });
    await until("no pod waits for it", async () => {
      const pods = await client.list<PodObject>("pod");
      return pods.every(({ status }) => ["lost", "pending"].includes(status.state));
    });
    await first.stop();
    await agent("second");
    for (const name of ["one", "three"]) await until(`a pod of ${name}`, isReady(name));
    expect(await node()).toMatchObject({ state: "ready", reason: "" });
  });

  it("is refused of another cluster of that name, where nothing but its nodes tells, unless forced", async () => {
    const first = await controller("c1");
    const client = new TestClient(await world.connect(), world.cluster);
    await client.leader();
    await cli("backup", file);
    const { clusterUid } = await checkBackup(file);
    await first();
    await world.server.kill();
    world.server.wipe();
    await world.server.start();
    await until("the server is back", () => client.bus.state() === "connected");
    await ensureStreams(client.bus, world.cluster, { replicas: 1 });
    const second = await controller("c2");
    await client.leader();
    const agent = await TestAgent.start(world, "n1");
    cleanups.push(() => agent.vanish());
    const nodes = client.bus.bucket(subjectsOf("test").buckets.nodes);
    await until("the node is told", async () => (await nodes.load()).size === 1);
    await second();
    await anew();
    const refused = await cli("restore", file);
    expect(refused.stderr).toMatch(
      new RegExp(`OTHER_CLUSTER.*the bus holds nodes of.*and the file is of ${clusterUid}`),
    );
    const forced = await cli("restore", file, "--force");
    expect(forced.code, forced.stderr).toBe(0);
  });

  it("refuses a damaged file before it writes anything, and never replaces one", async () => {
    await controller("c1");
    await new TestClient(await world.connect(), world.cluster).leader();
    await cli("backup", file);
    expect((await cli("backup", file)).stderr).toMatch(/INVALID_ARGUMENT.*is there already/);
    const text = readFileSync(file, "utf8");
    const lines = text.trimEnd().split("\n");
    const damage = {
      "another word": text.replace("leader", "ladder"),
      "no end": lines.slice(0, -1).join("\n"),
      "a record less": lines.toSpliced(1, 1).join("\n"),
      "something behind": `${text}{}\n`,
      "no backup": "hello\n",
      "an empty file": "",
    };
    for (const [what, content] of Object.entries(damage)) {
      writeFileSync(file, content);
      const refused = await cli("restore", file);
      expect(refused.stderr, what).toMatch(/BACKUP_BROKEN/);
      expect(refused.code).toBe(2);
    }
    writeFileSync(file, text);
    expect((await cli("restore", file, "--cluster", "other")).stderr).toMatch(/OTHER_CLUSTER/);
    const bus = await world.connect();
    await ensureStreams(bus, "other", { replicas: 1 });
    const forced = await cli("restore", file, "--cluster", "other", "--force");
    expect(forced.code, forced.stderr).toBe(0);
    expect(forced.stdout).toMatch(/other is a copy: its nodes touch no pod of test\./);
    const { last } = await bus.log(subjectsOf("other").stream).tail();
    expect(last).toBeGreaterThan(1);
    const records: Uint8Array[] = [];
    await bus.log(subjectsOf("other").stream).read(last, ({ data }) => records.push(data));
    const [item] = (JSON.parse(new TextDecoder().decode(records[0])) as Event).items;
    expect(item).toMatchObject({ kind: "cluster", verb: "restored" });
    // Containers are told apart by it: agents of both may share a machine.
    expect(item?.name).not.toBe((await checkBackup(file)).clusterUid);
  });
});

it("gives a backup its name only when it is whole", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-backup-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "a.backup");
  const of = { cluster: "test", clusterUid: "u", logId: "l", version: "0", time: new Date().toISOString() };
  const writer = new BackupWriter(path, { swain: "backup", format: 1, sequence: 2, ...of });
  writer.add({ sequence: 1, subject: "s", data: new Uint8Array() });
  await expect(writer.finish()).rejects.toMatchObject({ code: "BACKUP_BROKEN" });
  writer.abandon();
  expect(readdirSync(folder)).toEqual([]);
});

it("makes one of two backups that take the same name at once, and says so to the other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-backup-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "a.backup");
  const of = { cluster: "test", clusterUid: "u", logId: "l", version: "0", time: new Date().toISOString() };
  const writers = [1, 2].map(() => new BackupWriter(path, { swain: "backup", format: 1, sequence: 1, ...of }));
  for (const writer of writers) writer.add({ sequence: 1, subject: "s", data: new Uint8Array() });
  await writers[0]?.finish();
  await expect(writers[1]?.finish()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  for (const writer of writers) writer.abandon();
  expect(readdirSync(folder)).toEqual(["a.backup"]);
  expect(await checkBackup(path)).toMatchObject({ sequence: 1 });
});
