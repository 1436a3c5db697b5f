// The agent with simulated containers on a real nats-server; the test is the leader.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { logChunk, nodeMetrics } from "../../schemas/generated/messages.js";
import type { LogChunk } from "../../schemas/generated/types.ts";
import { createAgent } from "../../services/agent/agent.ts";
import type { Agent } from "../../services/agent/agent.ts";
import { newMeter } from "../../services/agent/figures.ts";
import { createSimDriver, simProber } from "../../services/agent/runtime/sim/driver.ts";
import { SimEngine } from "../../services/agent/runtime/sim/engine.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Disk } from "../../services/kernel/disk.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Logger } from "../../services/kernel/log.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { httpPort, podNamed } from "../support/agent.ts";
import { connectTo } from "../support/bus.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

const cluster = "test";
const node = "n1";
const subjects = subjectsOf(cluster);

const facts = {
  hostname: "machine",
  host: "0123456789abcdef",
  advertise: "127.0.0.1",
  runtime: "sim" as const,
  capacity: { cpuMillis: 2000, memoryBytes: 1 << 30, pods: 100 },
  labels: {},
  version: "0.1.0",
  arch: "x64",
  os: "Linux",
};

let server: TestServer;
let engine: SimEngine;
let data: string;
let leader: TestLeader;
let leaderBus: Bus;
let agents: { agent: Agent; bus: Bus }[];
let lines: { message: string; code: unknown }[];

const noting: Logger = {
  ...silent,
  error: (message, fields) => void lines.push({ message, code: fields?.["code"] }),
  with: () => noting,
};

/** Starts the agent as after a kill -9: from its journal, with the same engine. */
async function startAgent(disk: Disk = systemDisk): Promise<Agent> {
  const bus = await connectTo(server.url, { inboxPrefix: subjects.node.inbox(node) });
  const agent = createAgent(
    {
      clock: systemClock,
      ids: systemIds,
      random: systemRandom,
      disk,
      log: noting,
      meter: newMeter(),
      openDriver: (identity) => createSimDriver(engine, identity),
      prober: simProber(engine),
      machineUsage: null,
    },
    { cluster, node, data, facts },
  );
  agents.push({ agent, bus });
  await agent.start();
  agent.attach(bus, bus);
  // The server knows of its subscriptions: the leader's first command must not come before them.
  await bus.flush(5000);
  return agent;
}

const until = (check: () => void | Promise<void>, timeout = 10_000) => vi.waitFor(check, { timeout, interval: 20 });

const web = (name: string, sim = {}) => podNamed(name, { containers: [{ name: "web", sim, ports: httpPort }] });

beforeEach(async () => {
  server = await startServer(anyServer(), { jetstream: false });
  engine = new SimEngine(systemClock);
  data = mkdtempSync(join(tmpdir(), "swain-agent-"));
  agents = [];
  lines = [];
  leaderBus = await connectTo(server.url);
  leader = new TestLeader(leaderBus, cluster, node);
  await leaderBus.flush(5000);
});

afterEach(async () => {
  for (const { agent, bus } of agents) {
    await agent.stop();
    await bus.close();
  }
  await leaderBus.close();
  await server.dispose();
  rmSync(data, { recursive: true, force: true });
});

describe("an agent on the bus", () => {
  it("announces itself each second with its facts", async () => {
    await startAgent();
    await until(() => expect(leader.heartbeats.length).toBeGreaterThan(2));
    expect(leader.heartbeats.at(-1)).toMatchObject({ logId: "log-1", facts: { ...facts, engine: "sim" } });
  });

  it("pulls its assignment at the start and reports its pods ready", async () => {
    leader.items = [web("web-1"), web("web-2")];
    await startAgent();
    await until(() => expect([leader.state("web-1"), leader.state("web-2")]).toEqual(["ready", "ready"]));
    expect(leader.states.get("default/web-1")?.observed.addresses).toHaveLength(1);
    await until(() => expect(leader.heartbeats.at(-1)).toMatchObject({ generation: 1, logId: "log-1" }));
  });

  it("takes a difference at once and stops what it says", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    leader.generation = 2;
    const stop = { ...web("web-1"), desired: "stop" as const, generation: 2 };
    expect(await leader.assign({ base: 1, items: [stop, web("web-2")] })).toEqual({ logId: "log-1", held: 2 });
    await until(() => expect([leader.state("web-1"), leader.state("web-2")]).toEqual(["stopped", "ready"]));
    leader.generation = 3;
    await leader.assign({ base: 2, items: [], gone: ["default/web-1"] });
    expect(engine.all().map(({ spec }) => spec.pod)).toEqual(["default/web-2"]);
  });

  it("refuses an older generation", async () => {
    leader.generation = 5;
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    expect(await leader.assign({ generation: 4, items: [] })).toEqual({ logId: "log-1", held: 5 });
    expect(engine.all()).toHaveLength(1);
  });

  it("refuses another log, keeps everything, and says LOG_UNKNOWN", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    leader.logId = "log-2";
    expect(await leader.assign({ generation: 99, items: [] })).toEqual({ logId: "log-1", held: 1 });
    expect(engine.all()).toHaveLength(1);
    expect(lines.map(({ code }) => code)).toContain("LOG_UNKNOWN");
    leader.heartbeats.length = 0;
    await until(() => expect(leader.heartbeats.at(-1)?.logId).toBe("log-1"));
  });

  it("pulls everything when a difference does not follow what it holds", async () => {
    await startAgent();
    await until(() => expect(leader.heartbeats.at(-1)?.generation).toBe(1));
    leader.generation = 9;
    leader.items = [web("web-1")];
    expect(await leader.assign({ base: 8 })).toEqual({ logId: "log-1", held: 1 });
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    expect(await leader.command("ping", {}).then((answer) => answer.json())).toEqual({ logId: "log-1", held: 9 });
  });

  it("pulls in pages, and again from the first when the assignment changes between two", async () => {
    leader.items = Array.from({ length: 7 }, (_, at) => web(`web-${at + 1}`));
    leader.pageSize = 2;
    leader.onPage = () => {
      if (leader.syncs === 2) leader.generation = 2;
    };
    await startAgent();
    await until(() => expect(leader.states.size).toBe(7));
    expect(leader.syncs).toBe(2 + 4);
    await until(() => expect(leader.heartbeats.at(-1)?.generation).toBe(2));
  });

  it("answers a malformed command with a coded error and goes on", async () => {
    await startAgent();
    for (const verb of ["assign", "logs", "nonsense"]) {
      const answer = await leader.command(verb, { nothing: true });
      expect(answer.header("Nats-Service-Error-Code")).toBe("INVALID_REQUEST");
    }
    expect((await leader.command("ping", {})).json()).toHaveProperty("held");
  });

  it("does not take an assignment it cannot write down, and says so when that lasts", async () => {
    const full = async (): Promise<never> => {
      throw new SwainError("DISK_ERROR", "no space left");
    };
    await startAgent({ ...systemDisk, writeAtomic: full });
    const answer = await leader.command("assign", {
      clusterUid: "c",
      logId: "log-1",
      epoch: 1,
      generation: 3,
      base: 0,
      gone: [],
      items: [web("web-1")],
    });
    expect(answer.header("Nats-Service-Error-Code")).toBe("DISK_ERROR");
    expect(engine.all()).toEqual([]);
    await until(() => expect(leader.heartbeats.at(-1)?.trouble).toMatchObject({ reason: "DISK_ERROR" }));
  });

  it("writes down what a later leader tells of the same generation: the log may have lost what was told before", async () => {
    const assign = { clusterUid: "c", logId: "log-1", generation: 3, base: 0, gone: [] };
    const journal = (): unknown => JSON.parse(readFileSync(join(data, "assignment.json"), "utf8"));
    await startAgent();
    await leader.command("assign", { ...assign, epoch: 1, items: [web("web-1")] });
    expect(journal()).toMatchObject({ epoch: 1, items: [{ name: "web-1" }] });
    await leader.command("assign", { ...assign, epoch: 2, items: [web("web-2")] });
    expect(journal()).toMatchObject({ epoch: 2, items: [{ name: "web-2" }] });
  });

  it("writes down what it knows of its pods as that of a restored log: what it has of another is not read", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    Object.assign(leader, { logId: "log-2", epoch: 9, generation: 5 });
    await leader.assign({ parents: ["log-1"] });
    await until(() => expect(readFileSync(join(data, "pods.json"), "utf8")).toMatch(/"log-2".*"started":\["web"\]/));
  });
});

describe("reports", () => {
  it("are repeated until they are acknowledged, each time with a higher sequence and the latest state", async () => {
    leader.refusal = new SwainError("BUSY", "not now", { details: { retryAfterMs: 50 } });
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.reports.length).toBeGreaterThan(2));
    leader.refusal = null;
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const sequences = leader.reports.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(new Set(leader.reports.map(({ bootId }) => bootId)).size).toBe(1);
    await until(() => expect(leader.heartbeats.at(-1)?.reported).toBe(sequences.at(-1)));
    const count = leader.reports.length;
    leader.heartbeats.length = 0;
    await until(() => expect(leader.heartbeats.length).toBeGreaterThan(1));
    expect(leader.reports).toHaveLength(count);
  });

  it("survive a leader that falls silent, one in flight at a time", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    leader.silent = true;
    const before = leader.reports.length;
    const [container] = engine.all();
    engine.kill(container?.id ?? "", 1);
    await until(() => expect(leader.reports.length).toBe(before + 1));
    leader.silent = false;
    await until(() => expect(leader.states.get("default/web-1")?.observed.restarts).toBe(1));
    expect(leader.reports.length).toBe(before + 2);
  });

  it("are all said again when the leader asks for it", async () => {
    leader.items = [web("web-1"), web("web-2")];
    await startAgent();
    await until(() => expect(leader.states.size).toBe(2));
    leader.states.clear();
    leader.resend = true;
    const [container] = engine.all();
    engine.kill(container?.id ?? "", 1);
    await until(() => expect(leader.states.size).toBe(2));
  });

  it("are all said again some time after a new leader was heard", { timeout: 40_000 }, async () => {
    leader.items = [web("web-1"), web("web-2")];
    await startAgent();
    await until(() => expect(leader.states.size).toBe(2));
    leader.states.clear();
    leader.epoch = 7;
    await leader.assign({ base: leader.generation, items: [] });
    await until(() => expect(leader.states.size).toBe(2), 20_000);
  });
});

describe("an agent that was killed and is started again", () => {
  it("adopts its containers from the journal, without the bus, and restarts none", async () => {
    leader.items = [web("web-1"), web("web-2")];
    await startAgent();
    await until(() => expect(leader.states.size).toBe(2));
    const before = engine.all().map(({ id, startedAt }) => [id, startedAt]);
    const first = leader.reports[0]?.bootId;
    // Nothing is stopped in order: the first agent just loses its connection and its engine.
    const [old] = agents.splice(0);
    await old?.bus.close();
    await old?.agent.stop();
    leader.reports.length = 0;
    leader.states.clear();
    await startAgent();
    await until(() => expect([leader.state("web-1"), leader.state("web-2")]).toEqual(["ready", "ready"]));
    expect(engine.all().map(({ id, startedAt }) => [id, startedAt])).toEqual(before);
    expect(leader.reports[0]?.bootId).not.toBe(first);
    expect(leader.reports.flatMap(({ pods }) => pods.map(({ state }) => state))).not.toContain("running");
  });

  it("restarts crashed pods from its journal while the bus is gone", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    await server.stop();
    const [container] = engine.all();
    engine.kill(container?.id ?? "", 1);
    await until(() => expect(engine.all()[0]?.state).toBe("running"));
    await server.start();
    await until(() => expect(leader.states.get("default/web-1")?.observed.restarts).toBe(1), 20_000);
  });

  it("removes the containers that a sync no longer has", async () => {
    leader.items = [web("web-1"), web("web-2")];
    await startAgent();
    await until(() => expect(leader.states.size).toBe(2));
    const [old] = agents.splice(0);
    await old?.agent.stop();
    await old?.bus.close();
    leader.generation = 2;
    leader.items = [web("web-2")];
    await startAgent();
    await until(() => expect(engine.all().map(({ spec }) => spec.pod)).toEqual(["default/web-2"]));
  });
});

describe("an engine outage", () => {
  it("deletes nothing and is waited out", { timeout: 40_000 }, async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    engine.down();
    leader.generation = 2;
    leader.items = [web("web-2")];
    await leader.assign();
    await until(() => expect(leader.states.get("default/web-2")?.observed.reason).toBe("ENGINE_UNREACHABLE"));
    expect(engine.all().map(({ spec, state }) => [spec.pod, state])).toEqual([["default/web-1", "running"]]);
    engine.up();
    await until(() => expect(leader.state("web-2")).toBe("ready"), 20_000);
    await until(() => expect(engine.all().map(({ spec }) => spec.pod)).toEqual(["default/web-2"]));
  });
});

describe("logs and metrics", () => {
  async function chunksOf(name: string): Promise<LogChunk[]> {
    const chunks: LogChunk[] = [];
    leaderBus.subscribe(subjects.node.log(node, name), (message) => {
      const value = message.json();
      if (!logChunk(value)) throw new Error(`malformed chunk: ${JSON.stringify(logChunk.errors)}`);
      chunks.push(value);
    });
    await leaderBus.flush(5000);
    return chunks;
  }

  it("sends what was printed and ends", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const chunks = await chunksOf("web-1");
    expect((await leader.command("logs", { session: "session-1", name: "web-1" })).json()).toEqual({});
    await until(() => expect(chunks.at(-1)?.end).toBe(true));
    expect(chunks.map(({ sequence, text }) => [sequence, text])).toEqual([
      [1, "default/web-1 web: started\n"],
      [2, undefined],
    ]);
  });

  it("sends no more than was granted", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const chunks = await chunksOf("web-1");
    await leader.command("logs", { session: "session-1", name: "web-1", follow: true, credit: 1 });
    engine.kill(engine.all()[0]?.id ?? "", 4);
    await until(() => expect(leader.states.get("default/web-1")?.observed.restarts).toBe(1));
    await leaderBus.flush(5000);
    expect(chunks.map(({ text }) => text)).toEqual(["default/web-1 web: started\n"]);
    leaderBus.publish(subjects.node.command(node, "logs-credit"), { session: "session-1", credit: 9 });
    await until(() => expect(chunks.map(({ text }) => text)).toContain("default/web-1 web: exited with code 4\n"));
    expect(chunks.map(({ sequence }) => sequence)).toEqual(chunks.map((_, at) => at + 1));
  });

  it("sends the run before the newest one, or what is new enough, with the time of each line", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const before = Date.now();
    engine.kill(engine.all()[0]?.id ?? "", 4);
    await until(() => expect(leader.states.get("default/web-1")?.observed.restarts).toBe(1));
    const chunks = await chunksOf("web-1");
    const texts = async (more: object, end = true) => {
      const session = `session-${systemIds.next()}`;
      await leader.command("logs", { session, name: "web-1", ...more });
      await until(() => expect(chunks.some((chunk) => chunk.session === session && chunk.end)).toBe(end));
      return chunks.filter((chunk) => chunk.session === session && chunk.text !== undefined);
    };
    const own = "default/web-1 web: ";
    const previous = await texts({ previous: true });
    expect(previous.map(({ text }) => text)).toEqual([`${own}started\n`, `${own}exited with code 4\n`]);
    expect(previous.at(-1)?.times?.[0]).toBeGreaterThanOrEqual(before);
    const since = (await texts({ sinceTime: before })).map(({ text }) => text);
    expect(since).toEqual([`${own}exited with code 4\n`, `${own}started\n`]);
    expect((await texts({ sinceMs: 60_000 })).length).toBe(3);
    expect(await texts({ sinceMs: 60_000, sinceTime: Date.now() + 60_000 })).toEqual([]);
    const refused = await leader.command("logs", { session: "session-9", name: "web-1", previous: true, follow: true });
    expect(refused.header("Nats-Service-Error-Code")).toBe("INVALID_REQUEST");
  });

  it("says with a code that there was no run before", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const chunks = await chunksOf("web-1");
    await leader.command("logs", { session: "session-1", name: "web-1", previous: true });
    await until(() => expect(chunks).toMatchObject([{ sequence: 1, end: true, code: "NO_PREVIOUS_RUN" }]));
  });

  it("refuses logs of a pod or container that is not there, and answers again who had no answer", async () => {
    leader.items = [web("web-1")];
    await startAgent();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const code = async (body: object) => (await leader.command("logs", body)).header("Nats-Service-Error-Code");
    expect(await code({ session: "session-1", name: "web-9" })).toBe("NOT_FOUND");
    expect(await code({ session: "session-1", name: "web-1", container: "none" })).toBe("NOT_FOUND");
    expect(await code({ session: "session-1", name: "web-1", follow: true })).toBeUndefined();
    expect(await code({ session: "session-1", name: "web-1", follow: true })).toBeUndefined();
  });

  it("measures its pods every five seconds", async () => {
    leader.items = [web("web-1")];
    const measured: unknown[] = [];
    leaderBus.subscribe(subjects.node.metrics(node), (message) => void measured.push(message.json()));
    await startAgent();
    await until(() => expect(measured.length).toBeGreaterThan(0));
    expect(nodeMetrics(measured[0])).toBe(true);
    expect(measured[0]).toMatchObject({ pods: [{ namespace: "default", name: "web-1" }] });
  });
});
