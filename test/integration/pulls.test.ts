// Pulls from a registry that wants a password, with the credentials of the node, and each way they may fail.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { Engine } from "../../services/agent/runtime/docker/engine.ts";
import { Pulls } from "../../services/agent/runtime/docker/pull.ts";
import { askRegistry } from "../../services/agent/runtime/docker/registry.ts";
import { parseImage } from "../../services/core/image.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { codeOf } from "../conformance/driver-support.ts";
import { describeEngine, testImage } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { startPodman } from "../support/podman.ts";
import { startRegistry } from "../support/registry.ts";
import { registryMissing, startRealRegistry } from "../support/docker-registry.ts";
import type { RealRegistry } from "../support/docker-registry.ts";

async function push({ api }: TestEngine, image: string, registry: RealRegistry): Promise<void> {
  const at = image.lastIndexOf(":");
  await api.getImage(testImage).tag({ repo: image.slice(0, at), tag: image.slice(at + 1) });
  const authconfig = { username: registry.user, password: registry.password, serveraddress: registry.host };
  const stream = await api.getImage(image).push({ authconfig });
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  expect(text).not.toContain('"error"');
  await api.getImage(image).remove();
}

await describeEngine("pulls from a registry with a password", (engine) => {
  let registry: RealRegistry;
  let home: string;
  let image: string;
  const clients: Engine[] = [];

  const pull = (
    name = image,
    policy: "Missing" | "Always" | "Never" = "Missing",
    told: string[] = [],
  ): Promise<void> => {
    const client = new Engine(systemClock, async () => `unix://${engine.socket}`);
    clients.push(client);
    return new Pulls(client, systemClock).pull(name, (text) => told.push(text), AbortSignal.timeout(60_000), policy);
  };
  const present = (): Promise<boolean> =>
    engine.api
      .getImage(image)
      .inspect()
      .then(
        () => true,
        () => false,
      );
  const auths = (password: string): object => ({
    auths: { [registry.host]: { auth: Buffer.from(`${registry.user}:${password}`).toString("base64") } },
  });
  const write = (file: string, content: object): string => {
    writeFileSync(join(home, file), JSON.stringify(content), { mode: 0o600 });
    return join(home, file);
  };

  beforeAll(async () => {
    expect(registryMissing()).toBeNull();
    registry = await startRealRegistry(await engine.registryPort());
    image = `${registry.host}/team/web:1`;
    await push(engine, image, registry);
  });
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "swain-home-"));
    for (const name of ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"]) vi.stubEnv(name, "");
    vi.stubEnv("HOME", home);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const client of clients.splice(0)) client.close();
    rmSync(home, { recursive: true, force: true });
    if (await present()) await engine.api.getImage(image).remove();
  });
  afterAll(() => registry?.stop());

  it("without or with wrong credentials it is denied, and no message holds them", async () => {
    expect(await codeOf(pull())).toBe("IMAGE_PULL_DENIED");
    vi.stubEnv("DOCKER_CONFIG", home);
    write("config.json", auths("guessed word"));
    const error = (await pull().catch((error: Error) => error)) as Error;
    expect(error).toMatchObject({ code: "IMAGE_PULL_DENIED" });
    expect(JSON.stringify(error) + error.message + String(error.cause)).not.toMatch(/guessed|Z3Vlc3NlZ/);
  });

  it("credentials come from DOCKER_CONFIG, REGISTRY_AUTH_FILE or a helper, and the pull tells its progress", async () => {
    const sources: (() => void)[] = [
      () => {
        write("config.json", auths(registry.password));
        vi.stubEnv("DOCKER_CONFIG", home);
      },
      () => vi.stubEnv("REGISTRY_AUTH_FILE", write("auth.json", auths(registry.password))),
      () => {
        const answer = JSON.stringify({ ServerURL: registry.host, Username: registry.user, Secret: registry.password });
        const helper = join(home, "docker-credential-swaintest");
        writeFileSync(helper, `#!/bin/sh\nread host; [ "$host" = ${registry.host} ] && echo '${answer}'\n`);
        chmodSync(helper, 0o755);
        vi.stubEnv("PATH", `${home}:${process.env["PATH"] ?? ""}`);
        vi.stubEnv("REGISTRY_AUTH_FILE", write("auth.json", { credHelpers: { [registry.host]: "swaintest" } }));
      },
    ];
    for (const [index, prepare] of sources.entries()) {
      const path = process.env["PATH"];
      prepare();
      const told: string[] = [];
      await pull(image, "Missing", told);
      expect(await present(), `source ${index}`).toBe(true);
      expect(told[0]).toBe(`pulling ${image}`);
      await engine.api.getImage(image).remove();
      for (const name of ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE"]) vi.stubEnv(name, "");
      vi.stubEnv("PATH", path);
    }
  });

  it("Never asks nobody, Missing only for what is not there, Always each time", async () => {
    expect(await codeOf(pull(image, "Never"))).toBe("IMAGE_NEVER_PULLED");
    vi.stubEnv("REGISTRY_AUTH_FILE", write("auth.json", auths(registry.password)));
    await pull();
    await pull(image, "Never");
    vi.stubEnv("REGISTRY_AUTH_FILE", "");
    await pull(image, "Missing");
    expect(await codeOf(pull(image, "Always"))).toBe("IMAGE_PULL_DENIED");
  });

  it("an unknown image and a registry that is not there have reasons of their own", async () => {
    vi.stubEnv("REGISTRY_AUTH_FILE", write("auth.json", auths(registry.password)));
    expect(await codeOf(pull(`${registry.host}/team/other:1`))).toBe("IMAGE_NOT_FOUND");
    expect(await codeOf(pull("127.0.0.1:1/team/web:1"))).toBe("REGISTRY_UNREACHABLE");
  });

  it("a registry that takes connections and says nothing is told from one that is not there", async () => {
    const mute: Server = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const { port } = mute.address() as { port: number };
    expect(await askRegistry(parseImage(`127.0.0.1:${port}/web:1`), null, 300)).toBe("timeout");
    mute.close();
  });
});

await describeEngine(
  "an engine whose disk is full",
  () => {
    it("says so, and is not left with half an image", async () => {
      const storage = mkdtempSync(join(tmpdir(), "swain-small-disk-"));
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", storage]);
      try {
        const podman = await startPodman(testImage, { storage });
        const registry = await startRegistry(podman.registryPorts[0], 40_000_000);
        const client = new Engine(systemClock, async () => `unix://${podman.socket}`);
        const pulls = new Pulls(client, systemClock);
        const told: string[] = [];
        const name = `${registry.host}/good:1`;
        try {
          const work = pulls.pull(name, (text) => told.push(text), AbortSignal.timeout(60_000));
          expect(await codeOf(work)).toBe("DISK_FULL");
          expect(await pulls.present(parseImage(name))).toBe(false);
        } finally {
          client.close();
          await registry.close();
          podman.stop();
        }
      } finally {
        execFileSync("umount", ["-l", storage]);
        rmSync(storage, { recursive: true });
      }
    });
  },
  ["podman"],
);
