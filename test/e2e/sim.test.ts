// Many simulated nodes and two controllers on a real bus: takeover in the middle of work, and the log as the only truth.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectBus } from "../../services/bus/connect.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { silent } from "../../services/kernel/log.ts";
import { Cluster, until } from "../support/cluster.ts";

const workload = (name: string, spec: object = {}, container: object = {}): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name },
  spec: { replicas: 1, ...spec, containers: [{ name: "main", sim: {}, ...container }] },
});

describe("simulated nodes", () => {
  let cluster: Cluster;
  const open: Bus[] = [];

  const connect = async (role: string): Promise<Bus> => {
    const bus = await connectBus({
      servers: cluster.server,
      name: "test",
      creds: cluster.creds(role),
      cluster: "default",
      clock: systemClock,
      random: systemRandom,
      log: silent,
    });
    open.push(bus);
    return bus;
  };
  const status = async (): Promise<Record<string, unknown>> => {
    const bus = open[0] ?? (await connect("operator"));
    const reply = await bus.request(subjectsOf("default").api("_", "cluster", "status"), {}, { timeoutMs: 2000 });
    return reply.json() as Record<string, unknown>;
  };

  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "sim", nodes: 10, controllers: 2 });
    expect((await cluster.apply([workload("many")], "--wait")).code).toBe(0);
  });
  afterAll(async () => {
    await Promise.all(open.map((bus) => bus.close()));
    await cluster?.dispose();
  });

  it("get the rest of 200 pods from the standby when the leader is killed in the middle", async () => {
    const leader = String((await status())["leader"]);
    const scaling = cluster.run("scale", "workload/many", "--replicas", "200");
    await until("the first of them are placed", async () => Number((await status())["pods"]) > 1);
    const began = performance.now();
    await cluster.kill(leader);
    expect((await scaling).code).toBe(0);
    await until("the other controller leads", async () => (await status())["leader"] !== leader, 15_000);
    console.log(`the standby leads ${Math.round(performance.now() - began)} ms after the kill`);
    await until("200 are ready", async () => (await cluster.workload("many")).status.ready === 200, 60_000);
    const pods = await cluster.pods();
    expect(pods).toHaveLength(200);
    expect(new Set(pods.map((pod) => pod.spec.slot)).size).toBe(200);
    expect(pods.every((pod) => pod.status.restarts === 0)).toBe(true);
  });

  it("leave a log whose fold equals every projection byte for byte, and a tampered one does not", async () => {
    const verified = await cluster.ok("state", "verify");
    expect(verified).toMatch(/equal|no difference|agree/i);
    const bus = await connect("controller");
    const bucket = bus.bucket(subjectsOf("default").buckets.pods);
    const entry = [...(await bucket.load()).values()].find((each) => each.value !== null);
    await cluster.kill(String((await status())["leader"]));
    await bucket.put(entry?.key ?? "", String(entry?.value).replace('"ready"', '"failed"'), entry?.revision ?? 0);
    const tampered = await cluster.run("state", "verify");
    expect(tampered.code).toBe(1);
    expect(tampered.stdout + tampered.stderr).toContain(entry?.key ?? "?");
    for (const name of ["controller-1", "controller-2"]) cluster.revive(name);
    await until("the edit is overwritten", async () => (await cluster.run("state", "verify")).code === 0, 60_000);
  });

  it("are not moved by a stray message on an event subject: it is counted as foreign", async () => {
    const before = await status();
    const bus = await connect("controller");
    const subjects = subjectsOf("default");
    bus.publish(subjects.event("workload", "default", "many", "deleted"), {
      kind: "workload",
      verb: "deleted",
      namespace: "default",
      name: "many",
    });
    await bus.flush(2000);
    await until("it is counted", async () => Number((await status())["foreign"]) === Number(before["foreign"]) + 1);
    await cluster.ok("scale", "workload/many", "--replicas", "201", "--wait");
    expect((await cluster.workload("many")).status.ready).toBe(201);
    expect((await cluster.run("state", "verify")).code).toBe(0);
  });

  it("say why a request larger than any node waits", async () => {
    const huge = workload("huge", {}, { resources: { requests: { cpu: "9000" } } });
    expect((await cluster.apply([huge])).code).toBe(0);
    const pod = await until("it waits", async () =>
      (await cluster.pods()).find((each) => each.spec.workload === "huge"),
    );
    expect(pod.status).toMatchObject({ state: "pending", reason: "TOO_LARGE_FOR_ANY_NODE" });
    expect(await cluster.ok("get", "pods")).toContain("TOO_LARGE_FOR_ANY_NODE");
    expect(await cluster.ok("describe", `pod/${pod.metadata.name}`)).toContain("TOO_LARGE_FOR_ANY_NODE");
    expect(await cluster.ok("events")).toContain("TOO_LARGE_FOR_ANY_NODE");
    await cluster.ok("delete", "workload/huge", "--wait");
  });

  it("survive noise on every subject of the bus", async () => {
    const bus = await connect("controller");
    const subjects = subjectsOf("default");
    const targets = [
      subjects.api("_", "manifest", "apply"),
      subjects.api("default", "nothing", "known"),
      subjects.node.heartbeat("node-1"),
      subjects.node.report("node-1"),
      subjects.node.sync("node-1"),
      subjects.node.command("node-1", "assign"),
      subjects.proxy.heartbeat("proxy-1"),
      subjects.leader,
    ];
    for (const target of targets) {
      for (const noise of ["", "{", "[]", '{"pods":7}', "\u0000\u0001", "null"]) {
        bus.publish(target, new TextEncoder().encode(noise), { reply: "_INBOX.nobody.1" });
      }
    }
    await bus.flush(2000);
    await cluster.ok("scale", "workload/many", "--replicas", "150", "--wait");
    expect((await cluster.workload("many")).status.ready).toBe(150);
  });
});
