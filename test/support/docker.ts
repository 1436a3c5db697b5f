// The real container engines for tests: Docker's and a Podman, whether they are here, and the cleaning up behind tests.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Dockerode from "dockerode";
import { afterAll, describe, expect, it } from "vitest";
import { findEngine } from "../../services/agent/runtime/docker/places.ts";
import { anyServer, findServers } from "./nats.ts";
import type { ServerBinary } from "./nats.ts";
import { podmanMissing, startPodman } from "./podman.ts";
import type { PodmanService } from "./podman.ts";
import { freePort } from "./ports.ts";
import { rootlessMissing } from "./rootless.ts";

/** A small image with a shell; tests pull nothing but from their own registries. */
export const testImage = process.env["SWAIN_TEST_IMAGE"] ?? "busybox:stable";

/** Podman as an ordinary user's is one more way to run the same engine. */
export type EngineKind = "docker" | "podman" | "rootless";

export interface TestEngine {
  readonly kind: "docker" | "podman";
  /** True where the host has no way to a container's own address, and only control groups v2 tell use. */
  readonly rootless: boolean;
  /** "Docker Engine 20.10.24" */
  readonly name: string;
  /** Path of its socket. */
  readonly socket: string;
  /** The nats-server of clusters on it: each engine goes with another generation, so that both are seen with containers. */
  readonly natsServer: ServerBinary;
  /** The engine behind the driver's back. */
  readonly api: Dockerode;
  /** A loopback port for a registry that the engine speaks to without TLS. */
  registryPort(): Promise<number>;
}

interface Opened {
  readonly engine: TestEngine;
  stop(): void;
}

function serverFor(kind: EngineKind): ServerBinary {
  const { old, current } = findServers();
  return (kind === "podman" ? old : current) ?? anyServer();
}

/** The engine at that socket, or why no test can run on it. */
async function look(kind: EngineKind, socket: string, ports: readonly number[]): Promise<TestEngine | string> {
  const found = await findEngine(socket);
  if (!found.ok) return found.why;
  const api = new Dockerode({ socketPath: socket });
  const left = [...ports];
  try {
    await api.getImage(testImage).inspect();
  } catch {
    return `the image ${testImage} is not there: load it or set SWAIN_TEST_IMAGE`;
  }
  const rootless = kind === "rootless";
  return {
    kind: rootless ? "podman" : kind,
    rootless,
    name: `${rootless ? "rootless " : ""}${found.engine}`,
    socket,
    natsServer: serverFor(kind),
    api,
    registryPort: async () => left.shift() ?? freePort(),
  };
}

async function openDocker(): Promise<Opened | string> {
  const named = process.env["DOCKER_HOST"]?.replace("unix://", "");
  const engine = await look("docker", named ?? "/var/run/docker.sock", []);
  return typeof engine === "string" ? engine : { engine, stop: () => {} };
}

async function openPodman(): Promise<Opened | string> {
  const named = process.env["SWAIN_TEST_PODMAN"]?.replace("unix://", "");
  if (named !== undefined) {
    const engine = await look("podman", named, []);
    return typeof engine === "string" ? engine : { engine, stop: () => {} };
  }
  const missing = podmanMissing();
  if (missing !== null) return missing;
  return openOwn("podman", await startPodman(testImage));
}

async function openRootless(): Promise<Opened | string> {
  const missing = podmanMissing() ?? rootlessMissing();
  return missing ?? openOwn("rootless", await startPodman(testImage, { rootless: true }));
}

/** Its first answer may take longer than people would be made to wait for one. */
const firstAnswerMs = 20_000;

async function openOwn(kind: EngineKind, service: PodmanService): Promise<Opened | string> {
  const end = Date.now() + firstAnswerMs;
  let engine = await look(kind, service.socket, service.registryPorts);
  while (typeof engine === "string" && Date.now() < end) {
    engine = await look(kind, service.socket, service.registryPorts);
  }
  if (typeof engine !== "string") return { engine, stop: () => service.stop() };
  service.stop();
  return engine;
}

const engines = { docker: openDocker, podman: openPodman, rootless: openRootless } as const;
const opened = new Map<EngineKind, Promise<Opened | string>>();
/** Suites of this file that still need the engine. */
const users = new Map<EngineKind, number>();

/**
 * A suite on each real engine, named with it. Where one is missing it is a skip with its reason, in CI a failure.
 * Suites of one file share the engines.
 */
export async function describeEngine(
  title: string,
  suite: (engine: TestEngine) => void,
  kinds: readonly EngineKind[] = ["docker", "podman"],
): Promise<void> {
  for (const kind of kinds) {
    const opening = opened.get(kind) ?? engines[kind]();
    opened.set(kind, opening);
    const found = await opening;
    if (typeof found !== "string") {
      users.set(kind, (users.get(kind) ?? 0) + 1);
      describe(`${title}: ${found.engine.name}`, () => {
        // Hooks of the end run in reverse: the suite's own come first.
        afterAll(() => {
          users.set(kind, (users.get(kind) ?? 0) - 1);
          if (users.get(kind) === 0) found.stop();
        });
        suite(found.engine);
      });
    } else if (process.env["CI"] === undefined)
      describe.skip(`${title}: ${kind}: ${found}`, () => it("is skipped", () => {}));
    else it(`${title}: ${kind}`, () => expect.fail(found));
  }
}

/** Cluster uid → its engine. */
const clusters = new Map<string, TestEngine>();

/** Containers and volumes of this cluster are gone at the latest when this process ends. */
export function willClear(clusterUid: string, engine: TestEngine): void {
  clusters.set(clusterUid, engine);
}

/** Removes what the clusters named so far have on their engines. */
export async function clearClusters(): Promise<void> {
  for (const [clusterUid, { api }] of clusters) {
    const filters = { label: [`swain.cluster=${clusterUid}`] };
    // The first container of a pod holds the network of the others, and Podman removes it last or not at all.
    const found = await api.listContainers({ all: true, filters });
    for (let round = 0; round < 3; round += 1) {
      const remove = ({ Id }: { Id: string }): Promise<unknown> =>
        api
          .getContainer(Id)
          .remove({ force: true, v: true })
          .catch(() => {});
      for (const container of found) await remove(container);
      if ((await api.listContainers({ all: true, filters })).length === 0) break;
    }
    const { Volumes } = await api.listVolumes({ filters });
    for (const { Name } of Volumes ?? []) await api.getVolume(Name).remove();
    clusters.delete(clusterUid);
  }
}

// When the tests are interrupted no hook runs and nothing can be awaited any more: another process cleans up.
process.once("exit", () => {
  for (const [uid, { socket }] of clusters) {
    const script = `
      const engine = new (require("dockerode"))({ socketPath: ${JSON.stringify(socket)} });
      (async () => {
        const filters = { label: ["swain.cluster=" + ${JSON.stringify(uid)}] };
        for (const { Id } of await engine.listContainers({ all: true, filters }))
          await engine.getContainer(Id).remove({ force: true, v: true });
        for (const { Name } of (await engine.listVolumes({ filters })).Volumes ?? []) await engine.getVolume(Name).remove();
      })();`;
    try {
      execFileSync(process.execPath, ["-e", script], { timeout: 30_000, cwd: import.meta.dirname });
    } catch {
      // The engine is gone, and with it the way to clean up.
    }
  }
});

/** A socket in front of the engine's that a test can cut or freeze. */
export class EngineProxy {
  readonly socket: string;
  private readonly folder = mkdtempSync(join(tmpdir(), "swain-engine-"));
  private readonly open = new Set<Socket>();
  private server: Server | undefined;
  private frozen = false;
  private readonly engineSocket: string;

  constructor(engine: TestEngine) {
    this.engineSocket = engine.socket;
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
    const server = createConnection(this.engineSocket);
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
