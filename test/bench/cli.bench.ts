// The start of the CLI beside bare Node, in turns within one run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Cluster, root } from "../support/cluster.ts";
import { median, record } from "./support/report.ts";

const rounds = 15;
const main = join(root, "dist/cli/main.js");
const group = "CLI, cold start";

function run(args: readonly string[]): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  if (status !== 0) throw new Error(String(stderr));
  return performance.now() - began;
}

describe("the CLI", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "process", nodes: 1 });
  });
  afterAll(() => cluster?.dispose());

  it("starts", () => {
    const [bare, help, pods]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      bare.push(run(["-e", "0"]));
      help.push(run([main, "--help"]));
      pods.push(run([main, "get", "pods", "--data", cluster.data]));
    }
    record(group, "bare Node", "ms", bare);
    record(group, "swain --help", "ms", help);
    record(group, "swain get pods", "ms", pods);
    record(group, "swain get pods − bare Node", "ms", [median(pods) - median(bare)]);
  });
});
