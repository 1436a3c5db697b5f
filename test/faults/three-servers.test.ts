// A cluster in earnest: three nats-servers that keep three copies of everything, three controllers, nodes and a proxy. Its
// servers are ended one by one, together with the log's leader, in order, and two at once, while a client never stops
// changing things and requests never stop coming. Nothing that was acknowledged may be lost, and no program may notice.
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureStreams } from "../../services/bus/streams.ts";
import { swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { connectTo } from "../support/bus.ts";
import { Watch } from "../support/census.ts";
import { Fleet } from "../support/fleet.ts";
import { load } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { describeServer, startServer } from "../support/nats.ts";
import { PartProcess } from "../support/part.ts";
import { ServerCluster } from "../support/server-cluster.ts";
import { Notes } from "./notes.ts";

/** Other tests end processes by the name of their pod: no other has pods of these names. */
const serving = "unmoved";
const growing = "growing";
/** A beat comes each 500 ms. */
const silenceMs = 3000;

/** Changes things one after the other, without end, and remembers what was acknowledged. */
class Changing {
  /** Operation → where it is in the log, as the leader said. */
  readonly acknowledged = new Map<string, number>();
  readonly refused: string[] = [];
  private asked = 0;
  private readonly fleet: Fleet;
  private readonly notes: Notes;
  private isOver = false;
  private readonly work: Promise<void>;

  constructor(fleet: Fleet, notes: Notes) {
    this.fleet = fleet;
    this.notes = notes;
    this.work = this.run();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.work;
  }

  /** Resolves when a change that is asked for from now on was acknowledged; how long that took. */
  async goesOn(ms = 40_000): Promise<number> {
    const at = Date.now();
    const { asked } = this;
    const { size } = this.acknowledged;
    // The one under way was asked before.
    await until(
      "changes are acknowledged",
      async () => this.asked > asked && this.acknowledged.size > size + 1,
      ms,
      20,
    );
    return Date.now() - at;
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      this.asked++;
      const { asked, fleet } = this;
      const operation = fleet.client.ids.next();
      try {
        // Mostly applies; now and then a workload grows or shrinks.
        const isScale = asked % 10 === 0;
        const body = { operation, name: growing, replicas: 1 + ((asked / 10) % 3) };
        const sequence = isScale
          ? (await fleet.client.change("default", "workload", "scale", body)).sequence
          : await fleet.mark("mark", 1000 + asked, operation);
        this.acknowledged.set(operation, sequence);
        this.notes.say({ kind: "acknowledged", operation, sequence });
      } catch (error) {
        this.refused.push(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

describeServer("current", "three servers", (binary) => {
  let servers: ServerCluster;
  let fleet: Fleet;
  let programs: Record<string, string[]>;
  let changing: Changing;
  let watch: Watch;
  let requests: ReturnType<typeof load>;
  const notes = new Notes("servers", `nats-server ${binary.version}`);

  /** All is as before: copies, changes, programs. */
  const converged = async (): Promise<void> => {
    await servers.whole(fleet.client.bus);
    await changing.goesOn();
    expect(fleet.running(serving)).toEqual(programs);
  };

  const killed = async (name: string): Promise<void> => {
    const { bus, subjects } = fleet.client;
    const leads = (await servers.leaderOf(bus, subjects.stream)) === name;
    notes.say({ kind: "ended", what: `${name} killed${leads ? ", which led the log" : ""}` });
    await servers.server(name).kill();
    const ms = await changing.goesOn();
    console.log(`${name} killed${leads ? ", which led the log" : ""}: changes went on within ${ms} ms`);
    await servers.server(name).start();
    await converged();
  };

  beforeAll(async () => {
    servers = await ServerCluster.start(binary);
    const name = `servers-${process.pid}`;
    const replicas = 3;
    fleet = await Fleet.start({ servers: servers.urls, name, controllers: 3, agents: 2, replicas, proxy: true });
    const port = await freePort();
    const sleep = { name: "main", process: { command: ["sleep", "3600"] } };
    const steps = { replicas: 1, stopGracePeriod: "1s", containers: [sleep] };
    const documents = [
      web(serving, { replicas: 3 }),
      service(serving, port),
      { apiVersion: "swain/v1", kind: "Workload", metadata: { name: growing }, spec: steps },
    ];
    await fleet.client.change("_", "manifest", "apply", { documents });
    await until("all is ready", async () => {
      const pods = await fleet.pods();
      return pods.length === 4 && pods.every(({ status }) => status.state === "ready");
    });
    programs = fleet.running(serving);
    expect(Object.values(programs).map((processes) => processes.length)).toEqual([1, 1, 1]);
    await servers.whole(fleet.client.bus);
    watch = new Watch(name);
    requests = load(port, 1, 20);
    notes.say({ kind: "programs", running: programs });
    changing = new Changing(fleet, notes);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([changing?.stop(), requests?.stop()]);
    watch?.stop();
    await fleet?.dispose();
    await servers?.dispose();
  });

  it("of which each is killed in turn, first the one that leads the log", async () => {
    const { bus, subjects } = fleet.client;
    const first = await servers.leaderOf(bus, subjects.stream);
    for (const name of new Set([first, ...servers.servers.keys()])) await killed(name);
  }, 120_000);

  it("that are restarted one after the other", async () => {
    for (const [name, server] of servers.servers) {
      notes.say({ kind: "ended", what: `${name} restarted` });
      await server.stop();
      await server.start();
      await converged();
      console.log(`${name} restarted`);
    }
  }, 120_000);

  it("of which two are gone: nothing changes, everything runs, and all goes on when they are back", async () => {
    const { bus, subjects } = fleet.client;
    const [stays = "", ...gone] = servers.servers.keys();
    let heardAt = Date.now();
    const unhear = bus.subscribe(subjects.leader, () => (heardAt = Date.now()));
    notes.say({ kind: "ended", what: "two killed" });
    await Promise.all(gone.map((name) => servers.server(name).kill()));
    const { size } = changing.acknowledged;
    // The leader may have one answer under way.
    await until("no leader trusts itself any more", async () => Date.now() - heardAt > silenceMs, 40_000);
    unhear();
    expect(changing.acknowledged.size - size, `with ${stays} alone`).toBeLessThanOrEqual(1);
    expect(fleet.running(serving)).toEqual(programs);
    notes.say({ kind: "ended", what: "two are back" });
    await Promise.all(gone.map((name) => servers.server(name).start()));
    console.log(`two servers are back: changes went on within ${await changing.goesOn()} ms`);
    await converged();
  }, 120_000);

  it("in the end have lost nothing that was acknowledged, and no program noticed", async () => {
    await changing.stop();
    const { sent, failed, slowestMs } = await requests.stop();
    watch.stop();
    console.log(
      `${changing.acknowledged.size} changes acknowledged, ${changing.refused.length} not; ` +
        `${sent} requests, the slowest ${Math.round(slowestMs)} ms; ${watch.looks} looks at the processes`,
    );
    notes.say({ kind: "answers", sent, failed: failed.length, slowestMs: Math.round(slowestMs) });
    notes.say({ kind: "programs", running: fleet.running(serving) });
    notes.say({ kind: "doubled", pods: watch.doubled });
    await notes.keep("servers", fleet);
    expect(failed).toEqual([]);
    expect(sent).toBeGreaterThan(100);
    expect(slowestMs).toBeLessThan(2000);

    const records = await fleet.log();
    const at = new Map(records.map(({ event, sequence }) => [event.operation, sequence]));
    const lost = [...changing.acknowledged].filter(([operation, sequence]) => at.get(operation) !== sequence);
    expect(lost).toEqual([]);
    const operations = records.flatMap(({ event }) => event.operation ?? []);
    expect(operations.length, "no operation happened twice").toBe(new Set(operations).size);

    const verified = await swain(["state", "verify", "--server", servers.urls, "--cluster", fleet.client.cluster]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);

    await until("the pods are those of the log", async () => {
      const pods = await fleet.pods();
      const running = [...Object.keys(fleet.running(serving)), ...Object.keys(fleet.running(growing))];
      const named = pods.filter(({ status }) => status.state === "ready").map(({ metadata }) => metadata.name);
      return pods.length === named.length && named.toSorted().join() === running.toSorted().join();
    });
    expect(watch.doubled).toEqual([]);
    expect(fleet.running(serving)).toEqual(programs);
    const pods = (await fleet.pods()).filter(({ spec }) => spec.workload === serving);
    expect(pods.map(({ status }) => status.restarts)).toEqual([0, 0, 0]);
  });
});

describeServer("current", "three servers with little room", (binary) => {
  it("get smaller streams", async () => {
    const servers = await ServerCluster.start(binary, "4GB");
    const bus = await connectTo(servers.urls);
    try {
      const [log, ...others] = await ensureStreams(bus, "test", { replicas: 3 });
      expect(log).toMatchObject({ outcome: "created", replicas: 3, maxBytes: (10 * 1024 ** 3) / 4 });
      expect(others.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 6 }, () => "created"));
      await servers.whole(bus);
    } finally {
      await bus.close();
      await servers.dispose();
    }
  });
});

describeServer("current", "one copy of everything on three servers", (binary) => {
  it("becomes three when asked", async () => {
    const servers = await ServerCluster.start(binary);
    const bus = await connectTo(servers.urls);
    try {
      await ensureStreams(bus, "test", { replicas: 1 });
      const raised = await ensureStreams(bus, "test", { replicas: 3 });
      expect(raised.map(({ outcome, replicas }) => [outcome, replicas])).toEqual(raised.map(() => ["updated", 3]));
      await servers.whole(bus);
    } finally {
      await bus.close();
      await servers.dispose();
    }
  });
});

describeServer("old", "three copies", (binary) => {
  it("are refused on a server that is too old for them", async () => {
    const server = await startServer(binary);
    const controller = PartProcess.launch(["controller", "--server", server.url, "--replicas", "3"]);
    try {
      const code = await new Promise((resolve) => controller.child.once("exit", resolve));
      expect(code).toBe(1);
      expect(controller.stderr).toContain(
        "SERVER_TOO_OLD: 3 replicas need nats-server 2.12.7 or 2.14.3 or newer on every server",
      );
      expect(controller.stderr).toContain(`one is ${binary.version}`);
      expect(controller.stderr).toContain("Use a newer nats-server.");
    } finally {
      await controller.stop();
      await server.dispose();
    }
  });
});
