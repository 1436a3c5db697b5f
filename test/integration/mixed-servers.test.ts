// Servers of which some are older: what a stream can do is told by whichever holds it, and that is not the one a part came to.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkBackup } from "../../cli/backup-file.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { connectTo, openWorld } from "../support/bus.ts";
import { runCli } from "../support/cli.ts";
import { cutLogOf } from "../support/cut-log.ts";
import { describeServer, findServers } from "../support/nats.ts";
import { PartProcess } from "../support/part.ts";
import { ServerCluster } from "../support/server-cluster.ts";

describeServer("old", "beside a current server", (old) => {
  const current = findServers().current ?? old;
  let servers: ServerCluster;
  let at: string[];

  beforeAll(async () => {
    // The first has no room for a log.
    servers = await ServerCluster.start(current, "1GB", { binary: old, maxFileStore: "100GB" });
    at = ["--server", servers.server("server-1").url, "--cluster", "test"];
  });
  afterAll(() => servers.dispose());

  it("three copies are refused, and doctor tells why", async () => {
    const controller = PartProcess.launch(["controller", ...at, "--replicas", "3"]);
    try {
      expect(await new Promise((resolve) => controller.child.once("exit", resolve))).toBe(1);
      expect(controller.stderr).toContain(`one is ${old.version}`);
    } finally {
      await controller.stop();
    }
    expect((await runCli(["doctor", ...at])).stdout).toContain(`nats-server ${old.version} is for development`);
  });

  it("a log that was cut is restored, though an old one comes to hold it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "swain-mixed-"));
    const file = join(folder, "a.backup");
    const world = await openWorld(current);
    const bus = await connectTo(servers.server("server-1").url);
    try {
      await cutLogOf(world, await world.connect(), "c1");
      const made = await runCli(["backup", file, "--server", world.server.url, "--cluster", "test"]);
      expect(made.code, made.stderr).toBe(0);
      const { sequence } = await checkBackup(file);
      const { stream } = subjectsOf("test");
      const restored = await runCli(["restore", file, ...at]);
      expect(restored.code, restored.stderr).toBe(0);
      expect((await bus.log(stream).tail()).last).toBe(sequence + 1);
      expect(await servers.leaderOf(bus, stream)).not.toBe("server-1");
    } finally {
      await bus.close();
      await world.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
