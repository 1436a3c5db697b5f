// A backup of a log that was cut begins with a snapshot, and brings the same state back.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { checkBackup } from "../../cli/backup-file.ts";
import type { Bus } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { bucketOrder, subjectsOf } from "../../services/bus/subjects.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import { openLedger } from "../../services/controller/snapshot/open.ts";
import { verifyState } from "../../services/controller/verify.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { runCli } from "../support/cli.ts";
import { startTestController, until } from "../support/controllers.ts";
import { cutLogOf, cutting } from "../support/cut-log.ts";
import { describeServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";

const { stream } = subjectsOf("test");

describeServers("a backup of a log that was cut", (binary) => {
  let world: RealWorld;
  let bus: Bus;
  let folder: string;
  let file: string;
  const cli = (...args: string[]) => runCli([...args, "--server", world.server.url, "--cluster", "test"]);

  beforeEach(async () => {
    world = await openWorld(binary);
    bus = await world.connect();
    folder = mkdtempSync(join(tmpdir(), "swain-backup-"));
    file = join(folder, "a.backup");
  });
  afterEach(async () => {
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const cutLog = (id: string): Promise<void> => cutLogOf(world, bus, id);
  const lines = async (): Promise<string[]> => {
    const quiet = { onForeign: () => {}, onProblem: () => {} };
    return [...encodeState((await openLedger(workPorts(bus, "test"), quiet)).ledger.state)];
  };

  it("gives the same state and the same records at their sequences", async () => {
    await cutLog("c1");
    const made = await cli("backup", file);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/from the snapshot of \d+ on/);
    const header = await checkBackup(file);
    expect(header.format).toBe(2);
    const before = await lines();
    const record = await bus.log(stream).get(header.sequence);

    await world.server.kill();
    world.server.wipe();
    await world.server.start();
    await until("the server is back", () => bus.state() === "connected");
    const restored = await cli("restore", file);
    expect(restored.code, restored.stderr).toBe(0);
    expect(await bus.log(stream).get(header.sequence)).toMatchObject({ data: record?.data });
    const { first, last } = await bus.log(stream).tail();
    expect(first).toBeGreaterThan(1);
    expect(last).toBe(header.sequence + 1);
    // All but the header is as it was: the new log has a leader, a name and a parent of its own.
    expect((await lines()).slice(1)).toEqual(before.slice(1));

    await cutLog("c2");
    const found = await verifyState(workPorts(bus, "test"));
    expect(found.snapshots.map(({ state }) => state)).toEqual(["equal", "equal"]);
    expect(found.missing).toBe(0);
  });

  it("is refused when a line of its snapshot is missing, and when it is of another cluster, unless forced", async () => {
    await cutLog("c1");
    await cli("backup", file);
    const text = readFileSync(file, "utf8").trimEnd().split("\n");
    writeFileSync(join(folder, "damaged"), `${text.toSpliced(2, 1).join("\n")}\n`);
    expect((await cli("restore", join(folder, "damaged"))).stderr).toMatch(/BACKUP_BROKEN/);

    await world.server.kill();
    world.server.wipe();
    await world.server.start();
    await until("the server is back", () => bus.state() === "connected");
    await cli("restore", file);
    const { clusterUid } = await checkBackup(file);
    // A cluster of the same name and another uid lost its log, not its snapshots.
    await bus.request(`$JS.API.STREAM.DELETE.${stream}`, undefined, { timeoutMs: 5000 });
    const other = join(folder, "other");
    const header = { ...(JSON.parse(text[0] ?? "") as object), clusterUid: "another" };
    const body = [JSON.stringify(header), ...text.slice(1, -1)].map((line) => `${line}\n`).join("");
    const { systemPacking } = await import("../../services/kernel/node/packing.ts");
    const sha256 = systemPacking.sha256(new TextEncoder().encode(body));
    writeFileSync(other, `${body}${JSON.stringify({ sha256 })}\n`);
    const refused = await cli("restore", other);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(new RegExp(`OTHER_CLUSTER.*uid ${clusterUid}, and the file is of another`));
    const forced = await cli("restore", other, "--force");
    expect(forced.code, forced.stderr).toBe(0);
    await cutLog("c3");
    expect((await verifyState(workPorts(bus, "test"))).snapshots.map(({ state }) => state)).toEqual(["equal", "equal"]);
  });

  it("is needed when the log alone was made anew: its snapshots tell of a cluster", async () => {
    await cutLog("c1");
    await cli("backup", file);
    await bus.request(`$JS.API.STREAM.DELETE.${stream}`, undefined, { timeoutMs: 5000 });
    await ensureStreams(bus, "test", { replicas: 1 });
    const { buckets } = subjectsOf("test");
    for (const name of bucketOrder) {
      await bus.request(`$JS.API.STREAM.PURGE.KV_${buckets[name]}`, undefined, { timeoutMs: 5000 });
    }
    await expect(startTestController(world, "c2", { policy: cutting })).rejects.toMatchObject({
      code: "LOG_INCOMPLETE",
      message: expect.stringMatching(/is empty, but there is snapshot \S+ of sequence \d+ of log/) as string,
    });
    expect((await bus.log(stream).tail()).last).toBe(0);
    const restored = await cli("restore", file);
    expect(restored.code, restored.stderr).toBe(0);
    await cutLog("c3");
    const found = await verifyState(workPorts(bus, "test"));
    expect(found.snapshots.map(({ state }) => state)).toEqual(["equal", "equal"]);
  });
});
