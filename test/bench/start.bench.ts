// How long a controller takes to start on a long log: from its process's start to `swain-ready`, with snapshots and without.
// The log is made of what a living cluster writes: workloads scaled, pods placed, reported and removed. 100,000 events by
// default; SWAIN_BENCH_EVENTS says another number (a million takes some minutes to write and to fold).
import { spawn } from "node:child_process";
import { join } from "node:path";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "nats";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { openLedger } from "../../services/controller/snapshot/open.ts";
import { makeSnapshot } from "../../services/controller/snapshot/work.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { root } from "../support/cluster.ts";
import { facts } from "../support/core.ts";
import { findServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";
import { note, record } from "./support/report.ts";

const events = Number(process.env["SWAIN_BENCH_EVENTS"] ?? 100_000);
const group = `Start of a controller on a log of ${events.toLocaleString("en")} events`;
const [nodes, workloads, replicas] = [100, 50, 200];
/** The newest snapshot is as old as it becomes while the next one is made. */
const age = 12_000;
const inFlight = 2000;
const rounds = 5;

const workload = (index: number): string => `web-${index % workloads}`;
const nodeOf = (index: number): string => `node-${index % nodes}`;
const container = {
  name: "main",
  image: "team/web:1.27",
  ports: [{ name: "http", containerPort: 80 }],
  env: Array.from({ length: 10 }, (_, n) => ({ name: `SETTING_${n}`, value: `value ${n}` })),
  resources: { requests: { cpu: "10m", memory: "16Mi" } },
};
const pod = (index: number): { namespace: string; name: string } => ({
  namespace: "default",
  name: `${workload(index)}-${index + 1}`,
});
const assigned = (index: number, template: number): EventItem => {
  const place = { workload: workload(index), slot: index % replicas, template, node: nodeOf(index) };
  return { kind: "pod", verb: "assigned", ...pod(index), ...place };
};
const reported = (index: number, verb: "pulling" | "starting" | "running" | "ready" | "stopped"): EventItem => {
  const address = { name: "http", containerPort: 80, host: "10.0.0.1", hostPort: 30_000 + (index % 10_000) };
  const observed = { reason: "", message: "", restarts: 0, addresses: verb === "ready" ? [address] : [] };
  return { kind: "pod", verb, ...pod(index), observed };
};

/** Ten events for each pod that replaces another, after a beginning that makes the cluster. */
function* decisions(): Generator<EventItem[]> {
  yield [
    { kind: "cluster", verb: "created", name: "uid" },
    { kind: "leader", verb: "elected", name: "c1" },
  ];
  for (let n = 0; n < nodes; n++) yield [{ kind: "node", verb: "registered", name: nodeOf(n), facts: facts() }];
  const template = (index: number): number => nodes + 2 + (index % workloads);
  for (let n = 0; n < workloads; n++) {
    const spec = { replicas, containers: [container] };
    yield [
      { kind: "workload", verb: "applied", namespace: "default", name: workload(n), labels: { app: "web" }, spec },
    ];
  }
  const first = workloads * replicas;
  for (let from = 0; from < first; from += 200) {
    const some = Array.from({ length: 200 }, (_, n) => from + n);
    yield some.map((index) => assigned(index, template(index)));
    yield some.map((index) => reported(index, "ready"));
  }
  for (let made = first; ; made++) {
    const old = made - first;
    yield [
      { kind: "workload", verb: "scaled", namespace: "default", name: workload(made), replicas: replicas + (made % 2) },
    ];
    yield [assigned(made, template(made))];
    for (const verb of ["pulling", "starting", "running", "ready"] as const) yield [reported(made, verb)];
    yield [{ kind: "pod", verb: "stopping", ...pod(old), drain: false, reason: "SCALED_DOWN", message: "Not needed." }];
    yield [reported(old, "stopped")];
    yield [{ kind: "pod", verb: "removed", ...pod(old), reason: "", message: "" }];
    yield [{ kind: "workload", verb: "scaled", namespace: "default", name: workload(made), replicas }];
  }
}

async function fill(url: string): Promise<void> {
  const subjects = subjectsOf("test");
  const connection = await connect({ servers: url });
  const client = jetstream(connection);
  let sequence = 0;
  let waiting: Promise<unknown>[] = [];
  for (const items of decisions()) {
    if (sequence === events) break;
    sequence++;
    const chain = {
      logId: "log",
      epoch: 1,
      id: `event-${sequence}`,
      prev: sequence === 1 ? "" : `event-${sequence - 1}`,
    };
    const event = { schema: 1, ...chain, time: 1_700_000_000_000 + sequence, cause: "bench", items };
    waiting.push(client.publish(subjects.eventBatch, JSON.stringify(event), { timeout: 60_000 }));
    if (waiting.length < inFlight) continue;
    await Promise.all(waiting);
    waiting = [];
  }
  await Promise.all(waiting);
  await connection.close();
}

/** Milliseconds from the process's start to its word that it follows the log; it is ended before it leads. */
function start(url: string): Promise<number> {
  const began = performance.now();
  const args = ["controller", "--server", url, "--cluster", "test", "--id", "bench"];
  const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Promise((resolve, reject) => {
    let told = "";
    let took: number | undefined;
    child.stderr.on("data", (data: Buffer) => (told += data.toString()));
    child.stdout.on("data", (data: Buffer) => {
      if (!data.toString().includes("swain-ready")) return;
      took ??= performance.now() - began;
      child.kill("SIGKILL");
    });
    child.once("exit", () => {
      if (took === undefined) reject(new Error(`the controller ended: ${told}`));
      else resolve(took);
    });
  });
}

describe("a controller's start", () => {
  let world: RealWorld;
  let bus: Bus;
  beforeAll(async () => {
    const { current: binary } = findServers();
    if (binary === undefined) throw new Error("there is no current nats-server");
    world = await openWorld(binary);
    bus = await world.connect();
    note(group, `nats-server ${binary.version}; ${workloads * replicas} pods on ${nodes} nodes`);
    await fill(world.server.url);
  });
  afterAll(() => world?.close());

  it("is quick with snapshots", async () => {
    const { used } = await bus.log(subjectsOf("test").stream).room();
    record(group, "the log", "MiB", [used / 1024 / 1024]);
    record(group, "without snapshots", "ms", [await start(world.server.url)]);
    const ports = workPorts(bus, "test");
    for (const sequence of [events - 2 * age, events - age]) {
      const began = performance.now();
      await makeSnapshot(ports, { sequence, afresh: false, lines: null });
      record(group, sequence === events - age ? "making the next snapshot" : "making the first snapshot", "ms", [
        performance.now() - began,
      ]);
    }
    const stored = await bus.log(subjectsOf("test").snapshots).room();
    record(group, "one snapshot, packed", "KiB", [stored.used / 2048]);
    const took: number[] = [];
    for (let round = 0; round < rounds; round++) took.push(await start(world.server.url));
    record(group, `with snapshots, ${age} events after the newest`, "ms", took);
    const quiet = { onForeign: () => {}, onProblem: () => {} };
    const { ledger } = await openLedger(ports, quiet);
    if (ledger.state.foreign > 0 || ledger.state.pods.size < workloads * replicas) throw new Error("it is no good log");
  });
});
