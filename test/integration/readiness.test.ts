// Readiness checks of real containers: what the program answers decides, on an address the node reaches.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startAgent } from "../../services/agent/main.ts";
import type { Bus } from "../../services/bus/port.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";
import type { Running } from "../../services/kernel/running.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { podNamed } from "../support/agent.ts";
import { connectTo } from "../support/bus.ts";
import { clearClusters, describeEngine, testImage as image, willClear } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 20 });

let folder: string;
let server: TestServer;
let bus: Bus;
let leader: TestLeader;
let agent: Running;

async function touch({ api }: TestEngine, pod: string, command: string): Promise<void> {
  const id = leader.states.get(`default/${pod}`)?.observed.containers?.[0]?.id ?? "";
  const exec = await api.getContainer(id).exec({ Cmd: ["sh", "-c", command], AttachStdout: true });
  const stream = await exec.start({});
  stream.resume();
  await new Promise((resolve) => stream.once("end", resolve));
}

const observed = (pod: string) => leader.states.get(`default/${pod}`);

await describeEngine("readiness of containers", (engine) => {
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "swain-readiness-"));
    server = await startServer(anyServer(), { jetstream: false });
    bus = await connectTo(server.url);
    leader = new TestLeader(bus, "test", "n1");
    leader.clusterUid = systemIds.next();
    willClear(leader.clusterUid, engine);
  });

  afterEach(async () => {
    await agent?.stop();
    await clearClusters();
    await bus.close();
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("follows the answers of an http check, and of a tcp check by number", { timeout: 90_000 }, async () => {
    const httpd = ["sh", "-c", "mkdir /www && exec httpd -f -p 80 -h /www"];
    const rhythm = { interval: "200ms", timeout: "1s", failures: 2 };
    const ports = [{ name: "http", containerPort: 80 }];
    leader.items = [
      podNamed("web-1", {
        containers: [
          {
            name: "web",
            image,
            command: httpd,
            ports,
            readiness: { http: { port: "http", path: "/health" }, ...rhythm },
          },
        ],
      }),
      // Its port is not declared: it is asked for at the container's own address.
      podNamed("side-2", {
        containers: [{ name: "web", image, command: httpd, readiness: { tcp: { port: 80 }, ...rhythm } }],
      }),
      podNamed("deaf-3", {
        containers: [{ name: "web", image, command: httpd, readiness: { tcp: { port: 81 }, ...rhythm } }],
      }),
    ];
    agent = await startAgent({
      server: server.url,
      cluster: "test",
      id: "n1",
      runtime: "docker",
      engine: engine.socket,
      data: folder,
      log: silent,
    });
    await until(() => expect(leader.state("side-2")).toBe("ready"));
    await until(() =>
      expect(observed("web-1")).toMatchObject({
        state: "running",
        observed: { reason: "NOT_READY", message: expect.stringContaining("GET /health on port http answered 404") },
      }),
    );
    await until(() =>
      expect(observed("deaf-3")).toMatchObject({
        state: "running",
        observed: { reason: "NOT_READY", message: expect.stringContaining("port 81 does not accept connections") },
      }),
    );
    await touch(engine, "web-1", "touch /www/health");
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    await touch(engine, "web-1", "rm /www/health");
    await until(() => expect(leader.state("web-1")).toBe("running"));
    expect(observed("web-1")?.observed.restarts).toBe(0);
  });

  it("says each state on the way up once", { timeout: 90_000 }, async () => {
    const said: string[] = [];
    leader.items = [podNamed("web-1", { containers: [{ name: "web", image, command: ["sleep", "600"] }] })];
    agent = await startAgent({
      server: server.url,
      cluster: "test",
      id: "n1",
      runtime: "docker",
      engine: engine.socket,
      data: folder,
      log: silent,
    });
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    for (const { pods } of leader.reports) said.push(...pods.map(({ state }) => state));
    expect(said.filter((state) => state === "starting").length).toBeLessThanOrEqual(1);
    expect(new Set(said).size).toBe(said.length);
  });
});
