// Running a fleet as a user does: nodes are drained, lost and removed, and services keep answering.
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { load, spread } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { podProcesses } from "../support/pod-processes.ts";
import { describeServers } from "../support/nats.ts";

/** Unusual, because processes of the pods are looked for by name. */
const name = `fleet${process.pid}`;

describeServers("a fleet", (natsServer) => {
  let cluster: Cluster;
  let port: number;
  const podsOn = async (node: string): Promise<string[]> =>
    (await cluster.pods()).filter((pod) => pod.spec.node === node).map((pod) => pod.metadata.name);
  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 3, controllers: 1 });
    port = await freePort();
    const applied = await cluster.apply([web(name, { replicas: 4 }), service(name, port)], "--wait");
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    await until("four answer", async () => (await spread(port, 8)).size === 4);
  });
  afterAll(() => cluster?.dispose());

  it("drains a node without a failed request, and it takes pods again when it is told to", async () => {
    const [busiest = "node-1"] = (await cluster.nodes())
      .toSorted((a, b) => b.status.pods - a.status.pods)
      .map(({ metadata }) => metadata.name);
    const traffic = load(port, 2);
    const drained = await cluster.run("node", "drain", busiest, "--wait", "--timeout", "90s");
    const { sent, failed } = await traffic.stop();
    expect(drained.code, drained.stderr).toBe(0);
    expect(drained.stderr).toMatch(/draining, 2 pods left\n(.*\n)*.*drained\. All its pods are gone\./);
    expect(failed).toEqual([]);
    expect(sent).toBeGreaterThan(10);
    expect(await podsOn(busiest)).toEqual([]);
    expect((await cluster.workload(name)).status).toMatchObject({ ready: 4, pods: 4, phase: "steady" });
    expect(await cluster.ok("node", "ls")).toMatch(new RegExp(`${busiest}\\s+ready, cordoned`));
    expect(await cluster.ok("describe", `node/${busiest}`)).toMatch(/ready, cordoned/);
    expect(await cluster.ok("get", "events", "-A")).toMatch(new RegExp(`node/${busiest}\\s+draining`));
    await cluster.ok("node", "uncordon", `node/${busiest}`);
    await cluster.ok("scale", `workload/${name}`, "--replicas", "6", "--wait");
    expect(await podsOn(busiest)).toHaveLength(2);
    await cluster.ok("scale", `workload/${name}`, "--replicas", "4", "--wait");
  });

  it("undoes a template change that halted, without a failed request and without touching the count", async () => {
    const before = new Set((await cluster.pods()).map((pod) => pod.metadata.name));
    const broken = { process: { command: ["/no/such/program"] }, env: [{ name: "VERSION", value: "2" }] };
    const changed = await cluster.apply([web(name, {}, broken)], "--wait", "--timeout", "30s");
    expect(changed.code).not.toBe(0);
    expect(await cluster.ok("rollout", "status", `workload/${name}`)).toMatch(/: halted, .*COMMAND_NOT_FOUND/);
    const traffic = load(port, 1);
    expect(await cluster.ok("rollout", "undo", `workload/${name}`, "--wait")).toMatch(
      /goes back to an earlier template/,
    );
    expect((await traffic.stop()).failed).toEqual([]);
    const after = (await cluster.pods()).filter(({ status }) => status.state === "ready");
    expect(
      after
        .map((pod) => pod.metadata.name)
        .toSorted()
        .filter((pod) => before.has(pod)),
    ).toHaveLength(3);
    expect(await cluster.ok("rollout", "history", `workload/${name}`)).toMatch(/\n\d+ .* 0 .*\n\d+ .* 3 +yes /);
    const none = await cluster.run("rollout", "undo", `workload/${name}`, "--to", "1");
    expect(none.code).toBe(3);
    expect(none.stderr).toMatch(/NO_EARLIER_TEMPLATE/);
    await cluster.ok("scale", `workload/${name}`, "--replicas", "4", "--wait");
  });

  it("says why pods do not move instead of waiting in silence", async () => {
    const [pod] = await cluster.pods();
    const from = pod?.spec.node ?? "";
    for (const node of ["node-1", "node-2", "node-3"]) if (node !== from) await cluster.ok("node", "cordon", node);
    const blocked = await cluster.run("node", "drain", from, "--wait", "--timeout", "3s");
    expect(blocked.code).toBe(1);
    expect(blocked.stderr).toMatch(/DRAIN_BLOCKED/);
    expect(blocked.stderr).toMatch(
      /Pod fleet\d+-\d+ cannot move: UNSCHEDULABLE: No node fits \(0 of 3\): 3 cordoned\./,
    );
    expect(await cluster.ok("describe", `node/${from}`)).toMatch(/DRAIN_BLOCKED: Make room on another node/);
    // Whoever waits would switch the machine off next.
    await cluster.ok("node", "uncordon", from);
    const waits = cluster.run("node", "drain", from, "--wait", "--timeout", "30s");
    await until("it drains", async () =>
      (await cluster.nodes()).some(({ metadata, status }) => metadata.name === from && status.mode === "draining"),
    );
    await cluster.ok("node", "cordon", from);
    const waited = await waits;
    expect(waited.code).toBe(1);
    expect(waited.stderr).toMatch(/STOPPED: the drain of node node-\d was ended: it is cordoned/);
    for (const node of ["node-1", "node-2", "node-3"]) await cluster.ok("node", "uncordon", node);
    expect((await spread(port, 8)).size).toBe(4);
  });

  it("removes a lost node, completes what waited for it, and takes it anew when it comes back", async () => {
    const refused = await cluster.run("node", "rm", "node-3");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/NODE_IN_USE: Node node-3 is heard and runs \d pods?\./);
    const old = await podsOn("node-3");
    expect(old.length).toBeGreaterThan(0);
    await cluster.kill("agent-node-3");
    await until("it is unheard", async () =>
      (await cluster.nodes()).some(({ metadata, status }) => metadata.name === "node-3" && status.state === "unknown"),
    );
    expect(await cluster.ok("node", "rm", "node-3")).toMatch(/node node-3 removed; its \d+ pods? (is|are) forgotten/);
    expect((await cluster.nodes()).map(({ metadata }) => metadata.name)).toEqual(["node-1", "node-2"]);
    await until("four are ready on the others", async () => {
      const { status } = await cluster.workload(name);
      return status.ready === 4 && status.phase === "steady";
    });
    expect((await cluster.pods()).some((pod) => old.includes(pod.metadata.name))).toBe(false);
    cluster.revive("agent-node-3");
    await until("it is a node again", async () => (await cluster.nodes()).length === 3);
    await until("its old pods are stopped", async () => old.every((pod) => podProcesses(pod).length === 0));
    expect((await spread(port, 12)).size).toBe(4);
    expect(await cluster.ok("state", "verify")).toMatch(/equal, byte for byte/);
  });
});
