// A disk that is lost, and one that is full, with the log on it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import type { ServerBinary } from "../support/nats.ts";
import { empty, fill } from "./room.ts";
import { after, counts, describeFaults, FaultWorld, seen, untouched } from "./world.ts";

describeFaults("a cluster that loses its disk", suite);

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
        await after(8000);
      });
      expect(is).toMatchObject({ ...untouched, byFence: 1, failed: 0 });
      // Nobody changes anything between the backup and the restore, which would lose it.
      seen(is, { silenceMs: 1000, convergedMs: 30_000, noRollout: true });
    } finally {
      await world.dispose();
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
          await fill(parent);
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
