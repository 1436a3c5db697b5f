// A disk that was full: nats-server does not write again by itself when there is room, and the cluster must not stay so.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, swain, until } from "../support/cluster.ts";
import { web } from "../support/manifests.ts";
import { describeServers } from "../support/nats.ts";
import type { ServerBinary } from "../support/nats.ts";

const isRoot = process.getuid?.() === 0;

const suite = (natsServer: ServerBinary): void => {
  let place: string;
  let cluster: Cluster;

  beforeAll(async () => {
    place = mkdtempSync(join(tmpdir(), "swain-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=300m", "tmpfs", place]);
    cluster = await Cluster.up({ natsServer, parent: place, runtime: "sim", nodes: 2, restart: true });
    expect((await cluster.apply([web("web", { replicas: 1 }, { sim: {} })], "--wait")).code).toBe(0);
  });
  afterAll(async () => {
    await cluster?.dispose();
    execFileSync("umount", ["-l", place]);
    rmSync(place, { recursive: true, force: true });
  });

  it("takes changes again, all of them everywhere, once there is room", { timeout: 150_000 }, async () => {
    const fill = join(place, "fill");
    const block = Buffer.alloc(1 << 20);
    expect(() => {
      for (let size = 0; size < 400; size += 1) writeFileSync(fill, block, { flag: "a" });
    }).toThrow(/ENOSPC/);
    await until("it is said", async () => cluster.printed.includes("DISK_ERROR"));
    await swain(["scale", "workload/web", "--replicas", "5", "--data", cluster.data]);
    rmSync(fill);
    await until(
      "changes are taken",
      async () => (await cluster.run("scale", "workload/web", "--replicas", "4", "--wait")).code === 0,
      60_000,
    );
    await until("log and buckets agree", async () => (await cluster.run("state", "verify")).code === 0, 60_000);
  });
};

if (isRoot) describeServers("a cluster on a small disk", suite);
else describe.skip("a cluster on a small disk: mounting one needs root", () => it("is skipped", () => {}));
