// The agent with real containers: the test is the leader, and crashes are made behind the agent's back.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startAgent } from "../../services/agent/main.ts";
import type { Bus } from "../../services/bus/port.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import type { Running } from "../../services/kernel/running.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { httpPort, podNamed } from "../support/agent.ts";
import { connectTo } from "../support/bus.ts";
import { clearClusters, describeEngine, testImage as image, willClear } from "../support/docker.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";
import { lives } from "../support/processes.ts";

const until = (check: () => void | Promise<void>, timeout = 30_000) => vi.waitFor(check, { timeout, interval: 20 });

const httpd = { name: "web", image, command: ["httpd", "-f", "-p", "80"], ports: httpPort };

let folder: string;
let server: TestServer;
let bus: Bus;
let leader: TestLeader;
let running: Running[];
let uid: string;

await describeEngine("the agent", (engine) => {
  const docker = engine.api;
  const start = async (stopPods = false, advertise?: string): Promise<Running> => {
    const agent = await startAgent({
      server: server.url,
      cluster: "test",
      id: "n1",
      runtime: "docker",
      data: folder,
      engine: engine.socket,
      log: silent,
      stopPods,
      ...(advertise === undefined ? {} : { advertise }),
    });
    running.push(agent);
    return agent;
  };

  const own = () => docker.listContainers({ all: true, filters: { label: [`swain.cluster=${uid}`] } });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "swain-agent-docker-"));
    running = [];
    uid = systemIds.next();
    willClear(uid, engine);
    server = await startServer(anyServer(), { jetstream: false });
    bus = await connectTo(server.url);
    leader = new TestLeader(bus, "test", "n1");
    leader.clusterUid = uid;
  });

  afterEach(async () => {
    for (const agent of running) await agent.stop();
    await clearClusters();
    await bus.close();
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("starts a crashed container again about as fast as the engine itself does", { timeout: 90_000 }, async () => {
    leader.items = [podNamed("web-1", { containers: [httpd] })];
    await start();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const id = leader.states.get("default/web-1")?.observed.containers?.[0]?.id ?? "";
    const other = await docker.createContainer({
      Image: image,
      Cmd: httpd.command,
      Labels: { "swain.cluster": uid, "swain.node": "other" },
      ExposedPorts: { "80/tcp": {} },
      HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
    });
    // The engine's own start, on the same machine in the same minute.
    const from = performance.now();
    await other.start();
    const raw = performance.now() - from;
    const container = docker.getContainer(id);
    const before = (await container.inspect()).State.StartedAt;
    await container.kill();
    const killed = performance.now();
    await until(async () => {
      const { State } = await container.inspect();
      expect([State.Running, State.StartedAt !== before]).toEqual([true, true]);
    });
    expect(performance.now() - killed).toBeLessThan(raw + 1000);
    const restarted = { state: "ready", observed: { restarts: 1, exitCode: 137 } };
    await until(() => expect(leader.states.get("default/web-1")).toMatchObject(restarted));
    expect((await own()).filter(({ Labels }) => Labels["swain.node"] === "n1")).toHaveLength(1);
  });

  it(
    "adopts its containers, shares the network of a pod, and leaves nothing when told to stop",
    { timeout: 90_000 },
    async () => {
      const side = { name: "side", image, command: ["sh", "-c", "wget -qO- http://127.0.0.1:80/ ; sleep 600"] };
      leader.items = [podNamed("web-1", { containers: [httpd, side] })];
      const first = await start();
      await until(() => expect(leader.state("web-1")).toBe("ready"));
      const before = (await own()).map(({ Id }) => Id).sort();
      expect(before).toHaveLength(2);
      const mode = (await docker.getContainer(before[0] ?? "").inspect()).HostConfig.NetworkMode;
      const other = (await docker.getContainer(before[1] ?? "").inspect()).HostConfig.NetworkMode;
      expect([mode, other].filter((one) => one?.startsWith("container:"))).toHaveLength(1);
      await first.stop();
      leader.states.clear();
      await start(true);
      await until(() => expect(leader.state("web-1")).toBe("ready"));
      expect((await own()).map(({ Id }) => Id).sort()).toEqual(before);
      expect(leader.states.get("default/web-1")?.observed.restarts).toBe(0);
      await running.at(-1)?.stop();
      expect(await own()).toEqual([]);
    },
  );

  it("says where its containers are published, also when it comes back at another address", async () => {
    leader.items = [podNamed("web-1", { containers: [httpd] })];
    const first = await start(false, "127.0.0.2");
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    await first.stop();
    leader.states.clear();
    await start(true, "127.0.0.1");
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const [address] = leader.states.get("default/web-1")?.observed.addresses ?? [];
    expect(address?.host).toBe("127.0.0.2");
    expect(await systemSockets.probe(address?.host ?? "", address?.hostPort ?? 0, 1000)).toBe(true);
  });

  it("takes along the programs that people run in its containers when it stops", async () => {
    leader.items = [podNamed("web-1", { containers: [httpd] })];
    const agent = await start();
    await until(() => expect(leader.state("web-1")).toBe("ready"));
    const words = ["sleep", `${100_000 + process.pid}`];
    const ask = { namespace: "default", name: "web-1", session: systemIds.next(), command: words };
    await leader.command("exec", ask);
    await until(() => expect(lives(...words)).toBe(true));
    await agent.stop();
    await until(() => expect(lives(...words)).toBe(false), 5000);
    expect((await own()).map(({ State }) => State)).toEqual(["running"]);
  });

  it("says why a pod cannot run: no image, no such command, killed for its memory", { timeout: 90_000 }, async () => {
    const hog = ["sh", "-c", "x=a; while true; do x=$x$x; done"];
    const limits = { limits: { memory: "16Mi" } };
    leader.items = [
      podNamed("image-1", { containers: [{ name: "web", image: "127.0.0.1:1/no-such/image:1" }] }),
      podNamed("command-2", { containers: [{ name: "web", image, command: ["/no/such/program"] }] }),
      podNamed("hog-3", {
        restartPolicy: "Never",
        containers: [{ name: "web", image, command: hog, resources: limits }],
      }),
      podNamed("job-4", { restartPolicy: "OnFailure", containers: [{ name: "web", image, command: ["true"] }] }),
    ];
    await start();
    const reasons = () =>
      leader.items.map(({ name }) => {
        const report = leader.states.get(`default/${name}`);
        return [name, report?.state, report?.observed.reason];
      });
    await until(() =>
      expect(reasons()).toEqual([
        ["image-1", expect.stringMatching(/failed|backoff/), "REGISTRY_UNREACHABLE"],
        ["command-2", "failed", "COMMAND_NOT_FOUND"],
        ["hog-3", "failed", "OOM_KILLED"],
        ["job-4", "stopped", "COMPLETED"],
      ]),
    );
  });
});
