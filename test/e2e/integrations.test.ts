// The programs of examples/integrations, run as their comments say, against a real cluster.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "nats";
import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, root, swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { get } from "../support/http.ts";
import { web } from "../support/manifests.ts";
import { describeNatsCli, natsEnv, Watcher } from "../support/nats-cli.ts";
import { anyServer, describeServers, startServer } from "../support/nats.ts";

const example = (name: string): string => join(root, "examples/integrations", name);

describeServers("a program of a NATS user", (natsServer) => {
  let cluster: Cluster;
  const reaches = (more: Record<string, string>): NodeJS.ProcessEnv => ({
    ...process.env,
    SWAIN_SERVER: cluster.server,
    SWAIN_CREDS: cluster.creds("operator"),
    ...more,
  });
  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 2 });
  });
  afterAll(() => cluster?.dispose());

  it("scales a workload on the length of a queue", async () => {
    expect((await cluster.apply([web("worker", { replicas: 1 })], "--wait")).code).toBe(0);
    const server = await startServer(anyServer());
    const connection = await connect({ servers: server.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "JOBS", subjects: ["jobs"], retention: RetentionPolicy.Workqueue });
    await manager.consumers.add("JOBS", { durable_name: "workers", ack_policy: AckPolicy.Explicit });
    const scaler = new Watcher(
      process.execPath,
      [example("scale-on-queue.mjs")],
      reaches({
        QUEUE_SERVER: server.url,
        QUEUE_STREAM: "JOBS",
        QUEUE_CONSUMER: "workers",
        WORKLOAD: "worker",
        PER: "10",
        MAX: "4",
        EVERY_MS: "200",
      }),
    );
    try {
      for (let job = 0; job < 25; job++) await jetstream(connection).publish("jobs", `${job}`);
      const replicas = async (): Promise<number | undefined> => (await cluster.workload("worker")).spec.replicas;
      await until(`three for 25 jobs\n${scaler.output}`, async () => (await replicas()) === 3);
      await manager.streams.purge("JOBS");
      await until("one for none", async () => (await replicas()) === 1);
      expect(scaler.output).toContain("worker from 1 to 3");
    } finally {
      await scaler.stop();
      await connection.close();
      await server.dispose();
    }
  });

  it("serves behind the proxy from no node, leaves in order, and is forgotten when it dies", async () => {
    const port = await freePort();
    const legacy = {
      apiVersion: "swain/v1",
      kind: "Service",
      metadata: { name: "legacy" },
      spec: { ports: [{ port, targetPort: "http" }] },
    };
    expect((await cluster.apply([legacy])).code).toBe(0);
    const serve = (name: string): Watcher =>
      new Watcher(
        process.execPath,
        [example("external-endpoint.mjs")],
        reaches({ SERVICE: "legacy", NAME: name, TTL: "5" }),
      );
    const [first, second] = [serve("box-1"), serve("box-2")];
    const answers = async (): Promise<string[]> => {
      const seen = new Set<string>();
      for (let index = 0; index < 6; index++) seen.add(await get(port).catch(() => "none"));
      return [...seen].toSorted();
    };
    const both = ["hello from box-1", "hello from box-2"];
    try {
      await until(`both serve\n${first.output}${second.output}`, async () => same(await answers(), both));
      await first.stop("SIGTERM");
      await until("the one that left is out", async () => same(await answers(), ["hello from box-2"]));
      await second.stop("SIGKILL");
      await until("the dead one is forgotten", async () => (await cluster.ok("get", "events")).includes("EXPIRED"));
      expect(await cluster.ok("get", "events")).toMatch(/box-1.*DEREGISTERED/);
    } finally {
      await first.stop("SIGKILL");
      await second.stop("SIGKILL");
    }
  });

  describeNatsCli("with the nats CLI and jq", ["jq"], (path) => {
    it("alerts on failed pods", async () => {
      const config = mkdtempSync(join(tmpdir(), "swain-alerts-"));
      const saved = await swain(["nats-context", "--save", "--data", cluster.data], {
        env: { XDG_CONFIG_HOME: config },
      });
      expect(saved.code).toBe(0);
      const alerts = join(config, "alerts");
      const env = { ...natsEnv(path, config), ALERT: `cat >> '${alerts}'` };
      const script = new Watcher("sh", [example("alert-failed-pods.sh")], env);
      try {
        let tries = 0;
        await until(`an alert\n${script.output}`, async () => {
          const text = readAlerts(alerts);
          if (/^\S+ pod default\/broken-\d+-\d+ failed: EXITED /.test(text)) return true;
          tries += 1;
          const process_ = { command: [process.execPath, "-e", "process.exit(3)"] };
          const broken = web(
            `broken-${tries}`,
            { replicas: 1, restartPolicy: "Never" },
            { image: undefined, command: undefined, ports: undefined, process: process_ },
          );
          expect((await cluster.apply([broken])).code).toBe(0);
          return false;
        });
      } finally {
        await script.stop();
        rmSync(config, { recursive: true, force: true });
      }
    });
  });
});

const same = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join();

const readAlerts = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
