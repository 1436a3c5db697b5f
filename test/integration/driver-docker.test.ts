import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import { findEngine } from "../../services/agent/runtime/docker/places.ts";
import type { Driver, DriverIdentity } from "../../services/agent/runtime/driver.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import {
  codeOf,
  ended,
  fetched,
  newCluster,
  patience,
  readLogs,
  run,
  specOf,
  Stage,
} from "../conformance/driver-support.ts";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";
import { clearClusters, describeEngine, EngineProxy, testImage, willClear } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { startRegistry } from "../support/registry.ts";
import type { TestRegistry } from "../support/registry.ts";

const shell = (script: string): Program => ({ image: testImage, command: ["sh", "-c"], args: [script] });
const idle = shell("exec sleep 1000");

const identityOf = (clusterUid = newCluster(), node = "n1"): DriverIdentity => ({ clusterUid, node });

/** What the suites of one engine share. */
interface World {
  readonly engine: TestEngine;
  readonly stage: Stage;
  readonly driverOf: (identity: DriverIdentity, over?: { socket?: string; clock?: Clock }) => Driver;
}

function worldOf(engine: TestEngine): World {
  const driverOf: World["driverOf"] = (identity, over = {}) => {
    willClear(identity.clusterUid, engine);
    const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: engine.socket, ...over };
    return createDockerDriver({ identity: () => identity, ...parts });
  };
  const makeDriver: DriverFixture["makeDriver"] = (identity) => driverOf(identity() ?? identityOf());
  const stage = new Stage({ makeDriver, capabilities: {} as DriverFixture["capabilities"] });
  return { engine, stage, driverOf };
}

await describeEngine("the docker driver", (engine) => {
  const world = worldOf(engine);
  afterEach(() => world.stage.clear());
  afterAll(() => clearClusters());
  describe("what a container is given", () => givenSuite(world));
  describe("names and strangers", () => nameSuite(world));
  describe("pulls", () => pullSuite(world));
  describe("faults", () => faultSuite(world));
});

function givenSuite({ engine, stage }: World): void {
  it("limits, requests, variables and arguments arrive, and a limit above the machine's CPUs limits nothing", async () => {
    const driver = stage.driver();
    const spec = specOf(
      {
        ...shell('echo "$1 $A $B $SWAIN_PORT_HTTP_ADMIN"'),
        args: ['echo "$1 $A $B $SWAIN_PORT_HTTP_ADMIN"', "sh", "argument"],
        env: [
          { name: "A", value: "of the manifest" },
          { name: "B", value: "lost" },
        ],
        ports: [{ name: "http-admin", containerPort: 81 }],
        resources: { limits: { cpu: "500m", memory: "64Mi" }, requests: { cpu: "250m", memory: "32Mi" } },
      },
      { env: { B: "of Swain" }, labels: { team: "shop", "swain.node": "forged" } },
    );
    const { id } = await run(driver, spec);
    await ended(driver, id);
    expect((await readLogs(driver, id, false)).stdout).toBe("argument of the manifest of Swain 81\n");
    const { HostConfig: host, Config: config } = await engine.api.getContainer(id).inspect();
    expect(host).toMatchObject({
      NanoCpus: 5e8,
      Memory: 2 ** 26,
      MemorySwap: 2 ** 26,
      CpuShares: 256,
      AutoRemove: false,
    });
    expect(host.RestartPolicy?.Name ?? "").toMatch(/^(no)?$/);
    // Podman keeps one file of that size and shows nothing of it here.
    const kept = engine.kind === "docker" ? { "max-size": "10m", "max-file": "3" } : null;
    expect(host.LogConfig).toEqual({ Type: "json-file", Config: kept });
    expect(config.Labels).toMatchObject({ team: "shop", "swain.node": "n1", "swain.pod": spec.pod });
    const large = await driver.create(specOf({ ...idle, resources: { limits: { cpu: 5000 } } }));
    const { NCPU } = (await engine.api.info()) as { NCPU: number };
    expect((await engine.api.getContainer(large).inspect()).HostConfig.NanoCpus).toBe(NCPU * 1e9);
  });

  it("a container that takes more memory than its limit is seen as ended for want of memory", async () => {
    const driver = stage.driver();
    const cancel = driver.watch({ onChange: () => {}, onResync: () => {} });
    const resources = { limits: { memory: "32Mi" } };
    // The shell itself grows until the kernel ends it.
    const { id } = await run(driver, specOf({ ...shell('x=aaaaaaaa; while :; do x="$x$x"; done'), resources }));
    expect(await ended(driver, id)).toMatchObject({ state: "exited", exitCode: 137, oomKilled: true });
    await driver.remove(id);
    cancel();
  });

  it("a named volume keeps its data when its container is removed, and another cluster has its own", async () => {
    const driver = stage.driver();
    const volumes = [{ name: "data", mountPath: "/data" }];
    const say = { ...shell("cat /data/file 2>/dev/null || echo none"), volumes };
    const writer = await run(driver, specOf({ ...shell("echo kept > /data/file"), volumes }));
    await ended(driver, writer.id);
    await driver.remove(writer.id);
    const other = stage.driver();
    for (const [reader, text] of [
      [driver, "kept\n"],
      [other, "none\n"],
    ] as const) {
      const { id } = await run(reader, specOf(say));
      await ended(reader, id);
      expect((await readLogs(reader, id, false)).stdout).toBe(text);
    }
  });

  it("a folder of the node is mounted, read-only if asked, and a missing one is refused with MOUNT_FAILED", async () => {
    const folder = mkdtempSync(join(tmpdir(), "swain-mount-"));
    try {
      const driver = stage.driver();
      mkdirSync(join(folder, "fixed"));
      writeFileSync(join(folder, "fixed", "in"), "from the node");
      const volumes = [
        { hostPath: folder, mountPath: "/open" },
        { hostPath: join(folder, "fixed"), mountPath: "/fixed", readOnly: true },
      ];
      const script = "cat /fixed/in > /open/out; touch /fixed/no 2>/dev/null && echo written || echo refused";
      const { id } = await run(driver, specOf({ ...shell(script), volumes }));
      await ended(driver, id);
      expect(readFileSync(join(folder, "out"), "utf8")).toBe("from the node");
      expect((await readLogs(driver, id, false)).stdout).toBe("refused\n");
      const missing = { ...idle, volumes: [{ hostPath: join(folder, "gone"), mountPath: "/gone" }] };
      expect(await codeOf(run(driver, specOf(missing)))).toBe("MOUNT_FAILED");
      // Gone between two starts.
      rmSync(join(folder, "fixed"), { recursive: true });
      expect(await codeOf(driver.start(id))).toBe("MOUNT_FAILED");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("the containers of a pod share one network, whose ports the first one publishes", async () => {
    const driver = stage.driver();
    const web = [{ name: "http", containerPort: 8080 }];
    const first = specOf(idle, { podPorts: web });
    const owner = await run(driver, first);
    expect(owner.ports).toEqual([]);
    const page = "mkdir /www; echo shared > /www/index.html; httpd -f -h /www -p 8080";
    const second = { ...first, container: { ...shell(page), name: "web", ports: web }, joinNetworkOf: owner.id };
    const joined = await run(driver, second);
    expect(joined.ports[0]).toMatchObject({ name: "http", containerPort: 8080, localPort: 8080 });
    expect(await fetched("127.0.0.1", joined.ports[0]?.hostPort ?? 0)).toBe("shared\n");
    // The first one is made anew: the second must not be found with the network that went with the old one.
    await driver.stop(joined.id, 0);
    await driver.remove(owner.id);
    const again = await run(driver, first);
    const rejoined = await run(driver, { ...second, joinNetworkOf: again.id });
    expect(rejoined.id).not.toBe(joined.id);
    expect(await fetched("127.0.0.1", rejoined.ports[0]?.hostPort ?? 0)).toBe("shared\n");
  });
}

function nameSuite({ engine, stage }: World): void {
  it("containers of others are never listed, stopped or removed, whatever labels they borrow", async () => {
    const identity = identityOf();
    const driver = stage.driver(identity);
    willClear(identity.clusterUid, engine);
    const strangers = await Promise.all(
      [{}, { "swain.node": "n1" }, { "swain.cluster": identity.clusterUid, "swain.node": "n9" }].map((Labels) =>
        engine.api.createContainer({ Image: testImage, Cmd: ["sleep", "1000"], Labels }),
      ),
    );
    try {
      for (const stranger of strangers) {
        expect(await driver.inspect(stranger.id)).toBeNull();
        await driver.stop(stranger.id, 0);
        await driver.remove(stranger.id);
        expect(await codeOf(driver.start(stranger.id))).toBe("ENGINE_ERROR");
        expect((await stranger.inspect()).State.Status).toBe("created");
      }
      expect(await driver.list()).toEqual([]);
    } finally {
      for (const stranger of strangers) await stranger.remove({ force: true });
    }
  });

  it("a stranger with our container's name is left alone and named in the error", async () => {
    const identity = identityOf();
    const driver = stage.driver(identity);
    const spec = specOf(idle);
    const name = `swain-${identity.clusterUid.slice(0, 8)}-n1-${spec.pod.replace("/", "-")}-main`;
    const stranger = await engine.api.createContainer({ name, Image: testImage });
    try {
      await expect(driver.create(spec)).rejects.toMatchObject({
        code: "ENGINE_ERROR",
        message: expect.stringContaining(name),
      });
      expect((await stranger.inspect()).Id).toBe(stranger.id);
    } finally {
      await stranger.remove();
    }
    const id = await driver.create(spec);
    expect((await engine.api.getContainer(id).inspect()).Name).toBe(`/${name}`);
  });

  it("two pods whose names run together are two containers", async () => {
    const driver = stage.driver();
    const one = specOf(idle, { pod: "a-b/c" });
    const two = specOf(idle, { pod: "a/b-c" });
    const ids = [await driver.create(one), await driver.create(two)];
    expect(new Set(ids).size).toBe(2);
    expect([await driver.create(one), await driver.create(two)]).toEqual(ids);
    expect((await driver.list()).map(({ pod }) => pod).sort()).toEqual(["a-b/c", "a/b-c"]);
  });
}

function pullSuite({ engine, stage }: World): void {
  const { signal } = new AbortController();
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry(await engine.registryPort());
  });
  afterAll(async () => {
    await engine.api
      .getImage(`${registry.host}/good:1`)
      .remove()
      .catch(() => {});
    await registry.close();
  });
  const image = (name: string) => specOf({ image: `${registry.host}/${name}` });

  it("an image that is there is not pulled", async () => {
    const told: string[] = [];
    await stage.driver().pull(specOf({ image: testImage }), (text) => told.push(text), signal);
    expect(told).toEqual([]);
  });

  it("pulls say why they failed, by code", async () => {
    const driver = stage.driver();
    const code = (name: string): Promise<string> => codeOf(driver.pull(image(name), () => {}, signal));
    expect(await code("absent:1")).toBe("IMAGE_NOT_FOUND");
    expect(await code("torn:1")).toBe("IMAGE_PULL_FAILED");
    expect(await codeOf(driver.pull(specOf({ image: "127.0.0.1:1/x" }), () => {}, signal))).toBe(
      "REGISTRY_UNREACHABLE",
    );
    expect(await codeOf(driver.pull(specOf({ image: "No/Reference" }), () => {}, signal))).toBe("IMAGE_NOT_FOUND");
    expect(await code("forbidden:1")).toBe("IMAGE_PULL_DENIED");
    expect(await code("denied:1")).toBe("IMAGE_PULL_DENIED");
  });

  it("those who want the same image share one pull, which goes on while one of them still waits", async () => {
    const driver = stage.driver();
    const asking = async (work: () => Promise<unknown>): Promise<number> => {
      const before = registry.manifests();
      await work();
      return registry.manifests() - before;
    };
    const before = registry.manifests();
    registry.hold();
    const told: string[] = [];
    const impatient = new AbortController();
    const gaveUp = codeOf(driver.pull(image("good:1"), () => {}, impatient.signal)).catch(
      (error: Error) => error.message,
    );
    const others = [1, 2].map(() => driver.pull(image("good:1"), (text) => told.push(text), signal));
    await expect.poll(() => registry.manifests(), patience).toBeGreaterThan(before);
    impatient.abort(new Error("no longer wanted"));
    expect(await gaveUp).toBe("no longer wanted");
    registry.release();
    await Promise.all(others);
    // The engine asks for a manifest once or twice per pull; three pulls would ask at least three times.
    expect(registry.manifests() - before).toBeLessThanOrEqual(2);
    expect(told.some((text) => text.startsWith(`pulling ${registry.host}/good:1`))).toBe(true);
    expect(await asking(() => driver.pull(image("good:1"), () => {}, signal))).toBe(0);
  });
}

function faultSuite({ engine, stage, driverOf }: World): void {
  it("an engine that stops answering without closing a connection is noticed, and its return as well", async () => {
    const proxy = new EngineProxy(engine);
    // Twenty times as fast, so that fifteen seconds between pings are less than one.
    const fast: Clock = {
      ...systemClock,
      after: (ms, fn) => systemClock.after(ms / 20, fn),
      every: (ms, fn) => systemClock.every(ms / 20, fn),
    };
    await proxy.heal();
    const driver = driverOf(identityOf(), { socket: proxy.socket, clock: fast });
    let resyncs = 0;
    let losses = 0;
    const cancel = driver.watch({
      onChange: () => {},
      onResync: () => (resyncs += 1),
      onLost: () => (losses += 1),
    });
    try {
      await expect.poll(() => resyncs, patience).toBe(1);
      proxy.freeze();
      expect(await codeOf(driver.list())).toBe("ENGINE_UNREACHABLE");
      await expect.poll(() => losses, patience).toBeGreaterThan(0);
      // The stream that was frozen never speaks again: only its loss brings a new one.
      await proxy.heal();
      await expect.poll(() => resyncs, patience).toBe(2);
    } finally {
      cancel();
      await driver.close();
      await proxy.close();
    }
  });

  it("a call under way ends when the driver is closed", async () => {
    const driver = driverOf(identityOf());
    const { id } = await run(driver, specOf(idle));
    const stopping = codeOf(driver.stop(id, 60_000));
    await expect.poll(async () => (await engine.api.getContainer(id).inspect()).State.Running, patience).toBe(true);
    await driver.close();
    expect(await stopping).toBe("ENGINE_UNREACHABLE");
  });

  it("twenty thousand short lines arrive whole, in order, and only as fast as they are taken", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(shell("yes ä | head -n 20000")));
    await ended(driver, id);
    let text = "";
    let busy = 0;
    await driver.logs(id, { follow: false, signal: AbortSignal.timeout(30_000) }, async (_, chunk) => {
      busy += 1;
      expect(busy).toBe(1);
      await Promise.resolve();
      text += chunk;
      busy -= 1;
    });
    expect(text).toBe("ä\n".repeat(20_000));
  });

  it("the place where an engine was found is remembered, whatever answers first later", async () => {
    const folder = mkdtempSync(join(tmpdir(), "swain-memory-"));
    const memory = join(folder, "engine");
    const parts = { clock: systemClock, sockets: systemSockets, log: silent, identity: () => null, memory };
    const describes = async (over: { socket?: string } = {}): Promise<string> => {
      const driver = createDockerDriver({ ...parts, ...over });
      try {
        return await driver.describe();
      } finally {
        await driver.close();
      }
    };
    try {
      vi.stubEnv("DOCKER_HOST", `unix://${engine.socket}`);
      expect(await describes()).toBe(engine.name);
      expect(readFileSync(memory, "utf8")).toBe(`unix://${engine.socket}\n`);
      vi.stubEnv("DOCKER_HOST", "unix:///nowhere/engine.sock");
      expect(await describes()).toBe(engine.name);
      expect(await codeOf(describes({ socket: "/nowhere/engine.sock" }))).toBe("ENGINE_UNREACHABLE");
    } finally {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    }
  });

  it("the search names the engine and its place, or says where none is", async () => {
    expect(await findEngine(engine.socket)).toMatchObject({
      ok: true,
      engine: engine.name,
      reason: expect.stringContaining(engine.socket),
    });
    const missing = await findEngine("/nowhere/engine.sock");
    expect(missing).toEqual({ ok: false, why: expect.stringContaining("/nowhere/engine.sock") });
  });
}
