// Disks of nodes that are full, when that of the log is not.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import type { ServerBinary } from "../support/nats.ts";
import { empty, fill } from "./room.ts";
import { after, counts, describeFaults, FaultWorld, nodes, seen, untouched } from "./world.ts";

describeFaults("a cluster whose nodes have no room", suite);

function suite(server: ServerBinary): void {
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
}

/** What was under way when the disks became full leaves a little room when it ends, which is taken, too. No journal changes. */
async function keepFull(disks: readonly string[], ms: number): Promise<void> {
  const journals = (): string[] => disks.map((disk) => readFileSync(join(disk, "assignment.json"), "utf8"));
  const end = performance.now() + ms;
  const settled = performance.now() + 1000;
  let before: string[] | undefined;
  while (performance.now() < end) {
    for (const disk of disks) await fill(disk);
    await after(50);
    if (before === undefined && performance.now() > settled) before = journals();
  }
  expect(journals()).toEqual(before);
}
