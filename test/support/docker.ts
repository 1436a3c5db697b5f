// The real container engine for tests: whether one is here, and the cleaning up behind a test on it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Dockerode from "dockerode";
import { describe, expect, it } from "vitest";
import { engineAddress, imagePresent, probeEngine } from "../../services/agent/runtime/docker/engine.ts";

/** A small image with a shell; tests pull nothing. */
export const testImage = process.env["SWAIN_TEST_IMAGE"] ?? "busybox:stable";

const engineSocket = engineAddress().replace("unix://", "");

/** Why no container can run here, or null. */
async function noEngine(): Promise<string | null> {
  const probe = await probeEngine();
  if (!probe.ok) return probe.why;
  return (await imagePresent(testImage))
    ? null
    : `the image ${testImage} is not there: load it or set SWAIN_TEST_IMAGE`;
}

/** A suite on the real engine. Without one it is a skip with its reason, in CI a failure. */
export async function describeEngine(title: string, suite: () => void): Promise<void> {
  const missing = await noEngine();
  if (missing === null) describe(title, suite);
  else if (process.env["CI"] === undefined) describe.skip(`${title}: ${missing}`, () => it("is skipped", () => {}));
  else it(title, () => expect.fail(missing));
}

/** The engine behind the driver's back. */
export const engine = new Dockerode({ socketPath: engineSocket });

const clusters = new Set<string>();

/** Containers and volumes of this cluster are gone at the latest when this process ends. */
export function willClear(clusterUid: string): void {
  clusters.add(clusterUid);
}

/** Removes what the clusters named so far have on the engine. */
export async function clearClusters(): Promise<void> {
  for (const clusterUid of clusters) {
    const filters = { label: [`swain.cluster=${clusterUid}`] };
    for (const { Id } of await engine.listContainers({ all: true, filters })) {
      await engine.getContainer(Id).remove({ force: true, v: true });
    }
    const { Volumes } = await engine.listVolumes({ filters });
    for (const { Name } of Volumes ?? []) await engine.getVolume(Name).remove();
    clusters.delete(clusterUid);
  }
}

// When the tests are interrupted no hook runs and nothing can be awaited any more: another process cleans up.
process.once("exit", () => {
  if (clusters.size === 0) return;
  const script = `
    const engine = new (require("dockerode"))({ socketPath: ${JSON.stringify(engineSocket)} });
    (async () => {
      for (const uid of ${JSON.stringify([...clusters])}) {
        const filters = { label: ["swain.cluster=" + uid] };
        for (const { Id } of await engine.listContainers({ all: true, filters }))
          await engine.getContainer(Id).remove({ force: true, v: true });
        for (const { Name } of (await engine.listVolumes({ filters })).Volumes ?? []) await engine.getVolume(Name).remove();
      }
    })();`;
  try {
    execFileSync(process.execPath, ["-e", script], { timeout: 30_000, cwd: import.meta.dirname });
  } catch {
    // The engine is gone, and with it the way to clean up.
  }
});

/** A socket in front of the engine's that a test can cut or freeze. */
export class EngineProxy {
  readonly socket: string;
  private readonly folder = mkdtempSync(join(tmpdir(), "swain-engine-"));
  private readonly open = new Set<Socket>();
  private server: Server | undefined;
  private frozen = false;

  constructor() {
    this.socket = join(this.folder, "engine.sock");
  }

  async heal(): Promise<void> {
    this.frozen = false;
    if (this.server) return;
    const server = createServer((client) => this.join(client));
    this.server = server;
    await new Promise<void>((resolve) => {
      server.listen(this.socket, resolve);
    });
  }

  /** Ends all connections and takes no new ones. */
  async cut(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    for (const socket of this.open) socket.destroy();
    await new Promise<void>((resolve) => {
      if (server) server.close(() => resolve());
      else resolve();
    });
  }

  /** Keeps all connections and takes new ones, but nothing passes, as if the engine had stopped. */
  freeze(): void {
    this.frozen = true;
    for (const socket of this.open) {
      socket.unpipe();
      socket.pause();
    }
  }

  async close(): Promise<void> {
    await this.cut();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private join(client: Socket): void {
    this.track(client);
    if (this.frozen) return;
    const server = createConnection(engineSocket);
    this.track(server);
    client.pipe(server).pipe(client);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  }

  private track(socket: Socket): void {
    this.open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.open.delete(socket));
  }
}
