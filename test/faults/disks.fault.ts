// Disks that are lost and disks that are full.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import { describeServers } from "../support/nats.ts";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, FaultWorld, nodes, seen, untouched } from "./world.ts";

describeServers("a cluster that loses its disk", suite);

function suite(server: ServerBinary): void {
  it("keeps its programs when the log is wiped, and adopts them after a restore", { timeout: 240_000 }, async () => {
    const world = await FaultWorld.open(server);
    const { cluster } = world;
    const file = join(cluster.data, "monday.backup");
    const wipe = async (): Promise<void> => {
      await world.kill("nats-server");
      rmSync(join(cluster.data, "nats", "store"), { recursive: true });
      world.revive("nats-server");
    };
    try {
      const fault = "Data of NATS wiped; 10 s on an empty log; restored from a backup";
      const promise =
        "Agents keep their pods on a log that is not theirs, but for the fenced one, and the restored cluster adopts them.";
      await cluster.ok("backup", file);
      const is = await world.run({ fault, promise }, async (run) => {
        await run.onset();
        run.fault();
        await wipe();
        await after(10_000);
        for (const part of ["controller-1", "controller-2"]) await world.kill(part);
        await wipe();
        const creds = ["--creds", cluster.creds("controller")];
        await until("it is restored", async () => (await cluster.run("restore", file, ...creds)).code === 0);
        for (const part of ["controller-1", "controller-2"]) world.revive(part);
        run.logBeginsAnew();
        run.mended();
        run.keepChanging(counts);
        await after(5000);
      });
      expect(is).toMatchObject({ ...untouched, byFence: expect.any(Number) as number, failed: 0 });
      seen(is, { silenceMs: 1000, convergedMs: 30_000 });
    } finally {
      await world.dispose();
    }
  });

  it.each([
    ["one node's journal", 1],
    ["all journals", nodes.length],
  ])("goes on when the disk of %s, not that of the log, has room again", { timeout: 240_000 }, async (what, count) => {
    const parent = mkdtempSync(join(tmpdir(), "swain-journals-"));
    const disks = new Map(nodes.map((node) => [node, join(parent, node)]));
    let world: FaultWorld | undefined;
    try {
      for (const disk of disks.values()) {
        mkdirSync(disk);
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", disk]);
      }
      const prepare = (data: string): void => {
        mkdirSync(join(data, "nodes"));
        for (const [node, disk] of disks) symlinkSync(disk, join(data, "nodes", node));
      };
      const own = await FaultWorld.open(server, { prepare });
      world = own;
      const promise =
        "Programs and proxies go on, but for fenced pods there; changes are taken, and made there when there is room.";
      let isFenceHit = false;
      const fault = `Disk of ${what} full for 10 s, that of the log not`;
      const is = await own.run({ fault, promise }, async (run) => {
        run.keepChanging(counts);
        await run.onset();
        const victims = run.victims(nodes, count);
        isFenceHit = victims.includes(own.fencedNode);
        const full = victims.map((node) => disks.get(node) ?? "");
        run.fault();
        const said = until("the node says what ails it", async () =>
          (await own.cluster.ok("get", "nodes")).includes("DISK_ERROR"),
        );
        await keepFull(full, 10_000);
        await said;
        for (const disk of full) empty(disk);
        run.mended();
        await after(5000);
      });
      // An agent that could not take an assignment is behind, and gets no lease.
      const byFence = isFenceHit ? (expect.any(Number) as number) : 0;
      expect(is).toMatchObject({ ...untouched, byFence, failed: 0 });
      seen(is, { silenceMs: 1000, convergedMs: 30_000 });
      // As many as without a fault: taking them waits for no node.
      expect(is.acknowledged).toBeGreaterThan(12);
    } finally {
      await world?.dispose();
      for (const disk of disks.values()) execFileSync("umount", ["-l", disk]);
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it("goes on when a full disk has room again", { timeout: 240_000 }, async () => {
    const parent = mkdtempSync(join(tmpdir(), "swain-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=600m", "tmpfs", parent]);
    let world: FaultWorld | undefined;
    try {
      world = await FaultWorld.open(server, { parent });
      const promise = "Programs and proxies go on, but for the fenced pod; changes are taken when there is room.";
      const is = await world.run(
        { fault: "Disk of the log and of all journals full for 10 s", promise },
        async (run) => {
          run.keepChanging(counts);
          await run.onset();
          run.fault();
          fill(parent);
          await after(10_000);
          empty(parent);
          run.mended();
          await after(5000);
        },
      );
      expect(is).toMatchObject({ ...untouched, byFence: expect.any(Number) as number, failed: 0 });
      seen(is, { silenceMs: 1000, convergedMs: 60_000 });
    } finally {
      await world?.dispose();
      execFileSync("umount", ["-l", parent]);
      rmSync(parent, { recursive: true, force: true });
    }
  });
}

/** Takes all the room there is on a disk. */
function fill(disk: string): void {
  const block = Buffer.alloc(1 << 20);
  expect(() => {
    for (let size = 0; size < 800; size += 1) writeFileSync(join(disk, "fill"), block, { flag: "a" });
  }).toThrow(/ENOSPC/);
}

function empty(disk: string): void {
  rmSync(join(disk, "fill"));
}

/** What was under way when the disks became full leaves a little room when it ends, which is taken, too. No journal changes. */
async function keepFull(disks: readonly string[], ms: number): Promise<void> {
  const journals = (): string[] => disks.map((disk) => readFileSync(join(disk, "assignment.json"), "utf8"));
  const end = performance.now() + ms;
  const settled = performance.now() + 1000;
  let before: string[] | undefined;
  while (performance.now() < end) {
    for (const disk of disks) fill(disk);
    await after(50);
    if (before === undefined && performance.now() > settled) before = journals();
  }
  expect(journals()).toEqual(before);
}
