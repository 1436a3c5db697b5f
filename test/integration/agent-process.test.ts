// The agent with real processes that run on while it comes back at another address of its machine.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { Container } from "../../schemas/generated/types.ts";
import { startAgent } from "../../services/agent/main.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Running } from "../../services/kernel/running.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { podNamed } from "../support/agent.ts";
import { connectTo } from "../support/bus.ts";
import { anyServer, startServer } from "../support/nats.ts";

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 30_000, interval: 20 });

/** Listens at one address, or at every one. */
function listener(...address: readonly string[]): Container {
  const where = ["Number(process.env.SWAIN_PORT_HTTP)", ...address.map((one) => JSON.stringify(one))].join();
  const command = [process.execPath, "-e", `require("node:http").createServer().listen(${where})`];
  return { name: "main", process: { command }, ports: [{ name: "http" }] };
}

it("a process is ready where it listens at the address of now, whatever that was at its start", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-agent-process-"));
  const server = await startServer(anyServer(), { jetstream: false });
  const bus = await connectTo(server.url);
  const leader = new TestLeader(bus, "test", "n1");
  const of = (name: string) => leader.states.get(`default/${name}`);
  const common = { server: server.url, cluster: "test", id: "n1", runtime: "process", data: folder } as const;
  const start = (advertise: string, stopPods = false): Promise<Running> =>
    startAgent({ ...common, log: silent, advertise, stopPods });
  leader.items = [
    podNamed("everywhere-1", { containers: [listener()] }),
    podNamed("there-2", { containers: [listener("127.0.0.2")] }),
  ];
  const before = await start("127.0.0.2");
  let agent: Running | null = null;
  try {
    await until(() => {
      expect([of("everywhere-1")?.state, of("there-2")?.state]).toEqual(["ready", "ready"]);
    });
    await before.stop();
    leader.states.clear();
    agent = await start("127.0.0.1", true);
    await until(() => {
      expect(of("everywhere-1")?.state).toBe("ready");
      expect(of("there-2")).toMatchObject({ state: "running", observed: { reason: "NOT_READY" } });
    });
    const [address] = of("everywhere-1")?.observed.addresses ?? [];
    expect(address).toEqual({ name: "http", host: "127.0.0.1", hostPort: expect.any(Number) as number });
    expect(of("everywhere-1")?.observed.restarts).toBe(0);
  } finally {
    if (agent === null) {
      await before.stop();
      leader.states.clear();
      agent = await start("127.0.0.2", true);
      await until(() => expect(leader.states.size).toBe(2));
    }
    await agent.stop();
    await bus.close();
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
});
