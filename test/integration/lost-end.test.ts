// A power cut of a server that does not sync each write, on real servers: what its streams hold is set back to what it was
// before. Controllers and agents live on meanwhile, with all they were told.
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, it } from "vitest";
import type { PodObject } from "../../schemas/generated/types.ts";
import { createAgent } from "../../services/agent/agent.ts";
import { newMeter } from "../../services/agent/figures.ts";
import { createSimDriver, simProber } from "../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { verifyState } from "../../services/controller/verify.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { startTestController, TestClient, until } from "../support/controllers.ts";
import { facts, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";

const replicas = 2;
const web = (release: string): unknown =>
  workloadManifest("web", {
    replicas,
    containers: [{ name: "main", sim: {}, env: [{ name: "RELEASE", value: release }] }],
  });

describeServers("a power cut", (binary) => {
  let world: RealWorld;
  let client: TestClient;
  let folder: string;
  let engines: Map<string, SimEngine>;
  let stops: (() => Promise<unknown>)[];

  const startAgent = async (node: string): Promise<void> => {
    const bus = await world.connect({ inboxPrefix: subjectsOf(world.cluster).node.inbox(node) });
    const engine = new SimEngine(systemClock);
    engines.set(node, engine);
    const system = { clock: systemClock, ids: systemIds, random: systemRandom, disk: systemDisk, log: silent };
    const sim = { openDriver: (identity: Parameters<typeof createSimDriver>[1]) => createSimDriver(engine, identity) };
    const agent = createAgent(
      { ...system, ...sim, meter: newMeter(), prober: simProber(engine), machineUsage: null },
      { cluster: world.cluster, node, data: join(folder, node), facts: facts({ hostname: node, runtime: "sim" }) },
    );
    await agent.start();
    agent.attach(bus, bus);
    stops.push(() => agent.stop());
  };

  beforeEach(async () => {
    world = await openWorld(binary);
    folder = mkdtempSync(join(tmpdir(), "swain-lost-end-"));
    engines = new Map();
    stops = [];
    client = new TestClient(await world.connect(), world.cluster);
    for (const id of ["c1", "c2"]) {
      const { controller } = await startTestController(world, id);
      stops.push(() => controller.stop());
    }
    for (const node of ["n1", "n2"]) await startAgent(node);
    await until("both nodes", async () => (await client.list("node").catch(() => [])).length === 2);
  });

  afterEach(async () => {
    await Promise.all(stops.map((stop) => stop()));
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** All pods are ready, every container is of that release, and none is anywhere else than the state says. */
  const serves = (release: string): Promise<unknown> =>
    until(
      `release ${release} everywhere`,
      async () => {
        const pods = await client.list<PodObject>("pod").catch(() => []);
        const wanted = pods.map(({ metadata, spec }) => `${spec.node} default/${metadata.name} ${release}`);
        const found = [...engines].flatMap(([node, engine]) =>
          engine.all().map(({ spec }) => `${node} ${spec.pod} ${spec.container.env?.[0]?.value}`),
        );
        const ready = pods.filter(({ status }) => status.state === "ready").length;
        return ready === replicas && found.toSorted().join() === wanted.toSorted().join();
      },
      40_000,
    );

  const streams = (): string => join(world.server.folder, "jetstream", "$G", "streams");
  const applied = (release: string): Promise<unknown> =>
    until("the change is taken", async () => {
      const answer = await client.apply([web(release)]).catch(() => undefined);
      return answer !== undefined && answer.error === undefined;
    });

  /** Brings the cluster to release 2, and the streams of that name back to where it had release 1. */
  const loseRelease2 = async (isLost: (stream: string) => boolean): Promise<void> => {
    await applied("1");
    await serves("1");
    await world.server.kill();
    cpSync(streams(), join(folder, "store"), { recursive: true });
    await world.server.start();
    await applied("2");
    await serves("2");
    await world.server.kill();
    for (const name of readdirSync(streams()).filter(isLost)) {
      rmSync(join(streams(), name), { recursive: true });
      cpSync(join(folder, "store", name), join(streams(), name), { recursive: true });
    }
    await world.server.start();
  };

  it.each([
    ["the end of all streams", "1", () => true],
    ["the end of the log", "1", (name: string) => name.endsWith("_EVENTS")],
    ["the end of the buckets", "2", (name: string) => name.startsWith("KV_")],
  ])("that takes %s leaves release %s, and the next change is made", { timeout: 120_000 }, async (_, left, isLost) => {
    await loseRelease2(isLost);
    await serves(left);
    const ports = workPorts(await world.connect(), world.cluster);
    await until("buckets as the log says", async () => (await verifyState(ports)).differences.length === 0);
    await applied("3");
    await serves("3");
  });
});
