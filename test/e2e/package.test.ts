// What is shipped: the package as it is installed, the image built from it, and the compose file brought up with it.
import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { version } from "../../services/kernel/version.ts";
import { root, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import type { Result } from "../support/cluster.ts";
import { get } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { findServers } from "../support/nats.ts";
import { importImage, packAndInstall } from "../support/packed.ts";
import type { Packed } from "../support/packed.ts";

let packed: Packed;
let elsewhere: string;

beforeAll(() => {
  elsewhere = mkdtempSync(join(tmpdir(), "swain-elsewhere-"));
  packed = packAndInstall();
}, 180_000);
afterAll(() => {
  packed?.dispose();
  rmSync(elsewhere, { recursive: true, force: true });
});

/** Runs a program to its end, from a folder that has nothing to do with the sources. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = elsewhere): Promise<Result> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      { cwd, env: { ...process.env, ...env }, timeout: 170_000 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr });
      },
    );
  });
}

async function ok(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd = elsewhere,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, env, cwd);
  expect(code, `${program} ${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

describe("the package", () => {
  it("holds the program, schemas, examples and documents, and nothing else", () => {
    const { files, bytes } = packed;
    expect(files).toContain("dist/cli/main.js");
    expect(files).toContain("schemas/manifest/workload-manifest.schema.json");
    expect(files).toContain("examples/hello/hello.yaml");
    expect(files).toContain("services/docs/services.md");
    const allowed =
      /^(dist\/.*\.js|schemas\/.*\.json|examples\/.*|services\/.*\.(md|svg)|README\.md|CHANGELOG\.md|LICENSE|package\.json)$/;
    expect(files.filter((path) => !allowed.test(path))).toEqual([]);
    expect(files.filter((path) => /\.map$|\.test\.|(^|\/)test\//.test(path))).toEqual([]);
    expect(bytes).toBeLessThan(1024 * 1024);
  });

  it("names nothing of the machine it was packed on", () => {
    execFileSync("tar", ["-xzf", packed.file, "-C", elsewhere]);
    const found = ["grep", "-rlF", root, join(elsewhere, "package")] as const;
    expect(() => execFileSync(found[0], found.slice(1))).toThrow();
  });

  it("gives a swain that works from anywhere: version, validate, and a cluster of processes", async () => {
    const swain = join(packed.prefix, "bin/swain");
    expect((await ok(swain, ["--version"])).trim()).toBe(version);
    const hello = join(packed.prefix, "lib/node_modules/swain/examples/hello");
    expect(await ok(swain, ["validate", "-f", hello])).not.toBe("");
    const data = join(elsewhere, "data");
    const port = await freePort();
    const http = await freePort();
    writeFileSync(
      join(elsewhere, "web.yaml"),
      [web("web"), service("web", http)].map((one) => `${JSON.stringify(one)}\n`).join("---\n"),
    );
    const up = ["up", "--data", data, "--runtime", "process", "--nodes", "1", "--port", String(port), "--detach"];
    try {
      await ok(swain, up);
      await ok(swain, ["apply", "-f", "web.yaml", "--wait", "--data", data]);
      expect(await until("a pod answers", () => get(http))).toMatch(/^web-/);
    } finally {
      await run(swain, ["down", "--data", data]);
    }
  });
});

const docker = (...args: string[]): string =>
  execFileSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const hasCompose = ((): boolean => {
  try {
    docker("image", "inspect", "busybox:stable");
    execFileSync("docker-compose", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();
const describeCompose = hasCompose || process.env["CI"] !== undefined ? describe : describe.skip;

describeCompose(
  `docker-compose.yml${hasCompose ? "" : ": no docker-compose, or no engine with busybox:stable"}`,
  () => {
    const tag = `${process.pid}-${Date.now().toString(36)}`;
    const images = { base: `swain-test-node:${tag}`, nats: `swain-test-nats:${tag}`, swain: `swain-test:${tag}` };
    let folder: string;
    let env: NodeJS.ProcessEnv;
    const project = ["--project-name", `swaintest${tag.replaceAll("-", "")}`];
    const compose = (...args: string[]): Promise<string> => ok("docker-compose", [...project, ...args], env, folder);

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "swain-compose-"));
      for (const name of ["docker-compose.yml", "Containerfile", ".dockerignore"])
        copyFileSync(join(root, name), join(folder, name));
      execFileSync("cp", ["-r", packed.prefix, join(folder, "image")]);
      const path = "ENV PATH=/usr/local/bin:/bin";
      importImage(images.base, { node: process.execPath }, [path]);
      const server = findServers().current;
      if (server === undefined) throw new Error("no current nats-server: set SWAIN_TEST_NATS_NEW");
      importImage(images.nats, { "nats-server": server.path }, [path, 'ENTRYPOINT ["nats-server"]']);
      env = {
        SWAIN_BASE_IMAGE: images.base,
        SWAIN_NATS_IMAGE: images.nats,
        SWAIN_IMAGE: images.swain,
        SWAIN_NODE: `compose-${tag}`,
        SWAIN_NATS_PORT: String(await freePort()),
        SWAIN_NATS_MONITOR_PORT: String(await freePort()),
        SWAIN_CONTROLLER_HTTP: String(await freePort()),
        SWAIN_AGENT_HTTP: String(await freePort()),
        SWAIN_PROXY_HTTP: String(await freePort()),
      };
    }, 180_000);
    afterAll(async () => {
      // Nothing was brought up when the set-up failed.
      if (folder === undefined || env === undefined) return;
      await run("docker-compose", [...project, "down", "--volumes"], env, folder);
      // A pod is not of the project: it outlives a test that failed half-way.
      const pods = docker("ps", "-aq", "--filter", `label=swain.node=${env["SWAIN_NODE"]}`).split("\n");
      for (const pod of pods) if (pod !== "") await run("docker", ["rm", "--force", pod]);
      for (const image of Object.values(images)) await run("docker", ["image", "rm", "--force", image]);
      rmSync(folder, { recursive: true, force: true });
    }, 120_000);

    it("is built and brought up, becomes healthy, and serves a workload in containers through the proxy", async () => {
      await compose("config", "--quiet");
      await compose("up", "--detach", "--build");
      for (const name of ["nats", "controller", "agent", "proxy"]) {
        const id = (await compose("ps", "-q", name)).trim();
        const isHealthy = async (): Promise<boolean> =>
          docker("inspect", "--format", "{{.State.Health.Status}}", id).trim() === "healthy";
        await until(`${name} is healthy`, isHealthy, 60_000);
      }
      const http = await freePort();
      const manifests = [web("web", { replicas: 1 }), service("web", http)];
      const operator = ["exec", "-T", "controller", "swain"];
      const server = `nats://127.0.0.1:${env["SWAIN_NATS_PORT"]}`;
      const text = manifests.map((one) => `${JSON.stringify(one)}\n`).join("---\n");
      const id = (await compose("ps", "-q", "agent")).trim();
      writeFileSync(join(folder, "web.yaml"), text);
      docker("cp", join(folder, "web.yaml"), `${id}:/data/web.yaml`);
      await compose(
        "exec",
        "-T",
        "-e",
        "SWAIN_CREDS=/keys/operator.nk",
        "agent",
        "swain",
        "apply",
        "-f",
        "/data/web.yaml",
        "--wait",
        "--server",
        server,
      );
      expect(await compose(...operator, "get", "pods")).toMatch(/web-\d+.*ready/);
      expect(await until("the pod answers", () => get(http))).toMatch(/^web-/);
      await compose(...operator, "delete", "service/web");
      await compose(...operator, "delete", "workload/web", "--wait");
      // Deny by default: what has no key is refused.
      const refused = await run(
        "docker-compose",
        [...project, "exec", "-T", "-e", "SWAIN_CREDS=", "controller", "swain", "get", "pods"],
        env,
        folder,
      );
      expect(refused.stderr).toContain("NATS_DENIED");
    }, 240_000);
  },
);
