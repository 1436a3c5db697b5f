// A real controller and simulated nodes on a real nats-server, in the test's own process: for the CLI's built program.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { startAgent } from "../../services/agent/main.ts";
import { startController } from "../../services/controller/main.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Running } from "../../services/kernel/running.ts";
import { swain } from "./cluster.ts";
import type { Result } from "./cluster.ts";
import { anyServer, startServer } from "./nats.ts";
import type { TestServer } from "./nats.ts";

export class SimCluster {
  readonly server: TestServer;
  private readonly folder: string;
  private readonly running: Running[] = [];

  private constructor(server: TestServer) {
    this.server = server;
    this.folder = mkdtempSync(join(tmpdir(), "swain-sim-"));
  }

  static async start(nodes = 2): Promise<SimCluster> {
    const cluster = new SimCluster(await startServer(anyServer()));
    const common = { server: cluster.server.url, cluster: "test", log: silent };
    try {
      cluster.running.push(await startController({ ...common, id: "controller-1" }));
      const sim = { runtime: "sim", data: cluster.folder, advertise: "127.0.0.1" } as const;
      cluster.running.push(await startAgent({ ...common, id: "node", nodes, ...sim }));
      return cluster;
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  /** The options that choose this cluster. */
  get options(): string[] {
    return ["--server", this.server.url, "--cluster", "test"];
  }

  run(args: readonly string[], input = ""): Promise<Result> {
    return swain([...args, ...this.options], { input });
  }

  /** Runs it and fails the test when it does not exit 0. */
  async ok(args: readonly string[], input = ""): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input);
    expect(code, `swain ${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
    return stdout;
  }

  /** Applies a workload of simulated pods and waits until it is ready. */
  async web(name: string, replicas: number, sim: object = {}, wait = true): Promise<void> {
    const manifest = {
      apiVersion: "swain/v1",
      kind: "Workload",
      metadata: { name },
      spec: { replicas, containers: [{ name: "main", sim }] },
    };
    await this.ok(["apply", "-f", "-", ...(wait ? ["--wait"] : [])], JSON.stringify(manifest));
  }

  async dispose(): Promise<void> {
    for (const part of this.running.toReversed()) await part.stop();
    await this.server.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
