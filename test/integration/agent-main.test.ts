// The agent process as `swain agent` starts it, with the rights of its role, on a real nats-server; the test is the leader.
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { startAgent } from "../../services/agent/main.ts";
import type { StartAgentOptions } from "../../services/agent/main.ts";
import type { Bus } from "../../services/bus/port.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Running } from "../../services/kernel/running.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { podNamed } from "../support/agent.ts";
import { connectTo } from "../support/bus.ts";
import { anyServer, newUser, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

const until = (check: () => void | Promise<void>, timeout = 15_000) => vi.waitFor(check, { timeout, interval: 20 });

let folder: string;
let server: TestServer;
let controller: Bus;
let running: Running[];

const start = async (options: Partial<StartAgentOptions>): Promise<Running> => {
  const agent = await startAgent({
    server: server.url,
    creds: join(folder, "creds"),
    cluster: "test",
    id: "n1",
    runtime: "sim",
    data: join(folder, "data"),
    log: silent,
    ...options,
  });
  running.push(agent);
  return agent;
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-agent-main-"));
  running = [];
  const users = ["controller", "n1", "n1-1", "n1-2", "n1-3"].map((id) => {
    const { nkey, seed } = newUser();
    return { id, nkey, seed };
  });
  const creds = join(folder, "creds");
  mkdirSync(creds);
  for (const { id, seed } of users) writeFileSync(join(creds, `agent-${id}.nk`), seed, { mode: 0o600 });
  server = await startServer(anyServer(), {
    jetstream: false,
    users: users.map(({ id, nkey }) => {
      const own = [`swain.test.node.${id}.>`];
      return id === "controller" ? { nkey } : { nkey, publish: own, subscribe: own };
    }),
  });
  controller = await connectTo(server.url, { creds: join(creds, "agent-controller.nk") });
});

afterEach(async () => {
  for (const agent of running) await agent.stop();
  await controller.close();
  await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

describe("an agent process", () => {
  it("holds several simulated nodes that share its capacity, each with its own credentials", async () => {
    const leaders = ["n1-1", "n1-2", "n1-3"].map((id) => new TestLeader(controller, "test", id));
    for (const [at, leader] of leaders.entries()) leader.items = [podNamed(`web-${at + 1}`)];
    await start({ nodes: 3 });
    await until(() =>
      expect(leaders.map((leader, at) => leader.state(`web-${at + 1}`))).toEqual(Array(3).fill("ready")),
    );
    const capacities = leaders.map((leader) => leader.heartbeats[0]?.facts.capacity);
    expect(new Set(capacities.map((capacity) => capacity?.cpuMillis)).size).toBe(1);
    expect(capacities[0]?.cpuMillis).toBeGreaterThan(0);
    expect(leaders[0]?.heartbeats[0]?.facts).toMatchObject({ advertise: "127.0.0.1", runtime: "sim", engine: "sim" });
  });

  it("starts without a server and finds it later", async () => {
    const leader = new TestLeader(controller, "test", "n1");
    leader.items = [podNamed("web-1")];
    await server.stop();
    await start({});
    await server.start();
    await until(() => expect(leader.state("web-1")).toBe("ready"), 30_000);
  });

  it("leaves processes running when it stops, and finds the same ones again", { timeout: 90_000 }, async () => {
    const leader = new TestLeader(controller, "test", "n1");
    const sleeper: AssignedPod = podNamed("web-1", {
      containers: [{ name: "web", process: { command: ["sleep", "600"] } }],
    });
    leader.items = [sleeper];
    const first = await start({ runtime: "process" });
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const ids = leader.states.get("default/web-1")?.observed.containers;
    await first.stop();
    await first.closed;
    leader.states.clear();
    const draft = join(folder, "data", "pods.json.0123456789ab.tmp");
    writeFileSync(draft, "left by one that was killed");
    utimesSync(draft, 1, 1);
    const second = await start({ runtime: "process", stopPods: true });
    expect(existsSync(draft)).toBe(false);
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    expect(leader.states.get("default/web-1")?.observed).toMatchObject({ restarts: 0, containers: ids });
    await second.stop();
    leader.states.clear();
    // Told to stop its pods, it left none: the next agent makes it anew.
    leader.generation = 2;
    leader.items = [{ ...sleeper, desired: "stop", generation: 2 }];
    await start({ runtime: "process" });
    await until(() => expect(leader.state("web-1")).toBe("stopped"));
  });

  it("refuses several nodes of a runtime that is not simulated", async () => {
    await expect(start({ runtime: "process", nodes: 2 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(start({ split: 0 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
