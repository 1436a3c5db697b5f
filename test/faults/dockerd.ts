// A Docker of the tests' own, which may be killed, restarted and stopped from running: nobody else's containers are on it.
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Dockerode from "dockerode";
import { until } from "../support/cluster.ts";
import { testImage } from "../support/docker.ts";

export class Dockerd {
  readonly socket: string;
  readonly api: Dockerode;
  private readonly folder = mkdtempSync(join(tmpdir(), "swain-dockerd-"));
  private readonly bridge = `swf${process.pid}`;
  private process: ChildProcess | undefined;

  private constructor() {
    this.socket = join(this.folder, "docker.sock");
    this.api = new Dockerode({ socketPath: this.socket });
  }

  /** Starts it with the test image of the machine's own Docker. */
  static async start(from: Dockerode): Promise<Dockerd> {
    const dockerd = new Dockerd();
    try {
      execFileSync("ip", ["link", "add", dockerd.bridge, "type", "bridge"]);
      execFileSync("ip", ["addr", "add", "10.214.0.1/24", "dev", dockerd.bridge]);
      execFileSync("ip", ["link", "set", dockerd.bridge, "up"]);
      await dockerd.up();
      const loaded = await dockerd.api.loadImage(await from.getImage(testImage).get());
      await new Promise((resolve, reject) => loaded.on("end", resolve).on("error", reject).resume());
      return dockerd;
    } catch (error) {
      await dockerd.dispose();
      throw error;
    }
  }

  private async up(): Promise<void> {
    const { folder, bridge, socket } = this;
    // Ports are published by its own proxy processes: the machine's packet filter stays as it is.
    const network = ["--bridge", bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false"];
    const places = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")];
    const log = openSync(join(folder, "log"), "a");
    const args = [...places, "--pidfile", join(folder, "pid"), "-H", `unix://${socket}`, ...network];
    this.process = spawn("dockerd", args, { stdio: ["ignore", log, log] });
    await until("dockerd answers", async () => (await this.api.ping()) !== undefined, 30_000);
  }

  /** As its service manager does: its containers end with it. */
  async restart(): Promise<void> {
    await this.end("SIGTERM");
    await this.up();
  }

  async freeze(ms: number): Promise<void> {
    this.process?.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.process?.kill("SIGCONT");
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { process: child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  async dispose(): Promise<void> {
    await this.end("SIGTERM");
    execFileSync("sh", ["-c", `ip link delete ${this.bridge} || true`], { stdio: "ignore" });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
