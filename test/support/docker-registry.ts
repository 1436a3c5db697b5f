// Debian's docker-registry on loopback, with a password: the registry that pulls with credentials are tested on.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";

export interface RealRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly user: string;
  readonly password: string;
  stop(): Promise<void>;
}

/** Why there is none here, or null. */
export function registryMissing(): string | null {
  for (const program of ["docker-registry", "htpasswd"]) {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    } catch {
      return `${program} is not installed`;
    }
  }
  return null;
}

export async function startRealRegistry(port: number): Promise<RealRegistry> {
  const folder = mkdtempSync(join(tmpdir(), "swain-registry-"));
  const [user, password] = ["alice", "open sesame"];
  writeFileSync(join(folder, "htpasswd"), execFileSync("htpasswd", ["-Bbn", user, password]));
  mkdirSync(join(folder, "data"));
  writeFileSync(
    join(folder, "config.yml"),
    JSON.stringify({
      version: 0.1,
      storage: { filesystem: { rootdirectory: join(folder, "data") } },
      http: { addr: `127.0.0.1:${port}` },
      auth: { htpasswd: { realm: "test", path: join(folder, "htpasswd") } },
      log: { level: "error" },
    }),
  );
  const child = spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const answers = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
  await vi.waitFor(async () => expect(await answers()).toBe(true), { timeout: 15_000, interval: 50 });
  return {
    host: `127.0.0.1:${port}`,
    user,
    password,
    async stop() {
      process.removeListener("exit", kill);
      kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
