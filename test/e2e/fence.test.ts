// What becomes of pods when their node is cut off, seen by the processes themselves: a fenced one never runs twice, one that
// is to wait for its node waits, and a stall of a moment changes nothing.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Feed, PodObject } from "../../schemas/generated/types.ts";
import { Cluster, until } from "../support/cluster.ts";
import { Relay } from "../support/relay.ts";

const nodes = ["node-1", "node-2", "node-3", "node-4"];

describe("nodes that are cut off", () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-fence-"));
  const file = join(folder, "alive");
  const relays = new Map<string, Relay>();
  let cluster: Cluster;

  /** Writes that it lives every 20 ms, and does not end when asked to. */
  const program = `process.on("SIGTERM", () => {});
    setInterval(() => require("fs").appendFileSync(${JSON.stringify(file)}, process.pid + " " + Date.now() + "\\n"), 20);`;
  const workload = (name: string, spec: object, command: readonly string[]): object => ({
    apiVersion: "swain/v1",
    kind: "Workload",
    metadata: { name },
    spec: { ...spec, containers: [{ name: "main", process: { command } }] },
  });
  const podsOf = async (name: string): Promise<PodObject[]> =>
    (await cluster.pods()).filter(({ spec }) => spec.workload === name);
  const one = async (): Promise<PodObject> => {
    const [pod, ...more] = await podsOf("db");
    if (pod === undefined || more.length > 0) throw new Error(`${more.length + 1} pods`);
    return pod;
  };
  const relayOf = (node: string | undefined): Relay => {
    const relay = relays.get(node ?? "");
    if (relay === undefined) throw new Error(`no relay of ${node}`);
    return relay;
  };

  const leader = async (): Promise<string> => {
    const { items } = JSON.parse(await cluster.ok("get", "events", "-A", "-o", "json")) as { items: Feed[] };
    const elected = items.findLast(({ type }) => type === "swain.leader.elected");
    return elected?.subject.split("/").at(-1) ?? "";
  };

  interface Life {
    readonly pid: string;
    readonly from: number;
    readonly to: number;
  }
  /** Every process of the pod there was, by its own account. */
  const lives = (): Life[] => {
    const found = new Map<string, Life>();
    for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
      const [pid = "", time = ""] = line.split(" ");
      const at = Number(time);
      const before = found.get(pid);
      found.set(pid, { pid, from: Math.min(before?.from ?? at, at), to: Math.max(before?.to ?? at, at) });
    }
    return [...found.values()].toSorted((a, b) => a.from - b.from);
  };
  const neverTwo = (): void => {
    for (const [at, life] of lives().entries()) {
      const next = lives()[at + 1];
      if (next !== undefined) expect(next.from, `${life.pid} until ${life.to}, ${next.pid}`).toBeGreaterThan(life.to);
    }
  };

  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "process", nodes: nodes.length, controllers: 2 });
    const { hostname: host, port } = new URL(cluster.server);
    for (const node of nodes) {
      const relay = await Relay.open({ host, port: Number(port) });
      relays.set(node, relay);
      await cluster.kill(`agent-${node}`);
      cluster.revive(`agent-${node}`, (arg) => arg.replace(`:${port}`, `:${relay.port}`));
    }
    const fenced = { replicas: 1, fence: true, lostAfter: "10s", stopGracePeriod: "1s" };
    const held = { replicas: 4, onNodeLost: "hold", lostAfter: "5s" };
    const applied = await cluster.apply(
      [workload("db", fenced, ["node", "-e", program]), workload("keep", held, ["sleep", "3600"])],
      "--wait",
    );
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    await until("it writes", async () => lives().length === 1);
  });
  afterAll(async () => {
    for (const relay of relays.values()) relay.close();
    await cluster?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("and come back soon have their fenced pod stopped meanwhile and started again, once", async () => {
    const before = await one();
    const relay = relayOf(before.spec.node);
    const cutAt = Date.now();
    relay.cut();
    await until("it is dead", async () => Date.now() - (lives().at(-1)?.to ?? 0) > 500, 20_000);
    console.log(`the agent's own stop was over ${(lives().at(-1)?.to ?? 0) - cutAt} ms after the cut`);
    expect(lives()).toHaveLength(1);
    expect((await one()).metadata.name).toBe(before.metadata.name);
    relay.mend();
    await until("it runs again", async () => lives().length === 2, 20_000);
    await until("it is ready", async () => {
      const { metadata, spec, status } = await one();
      const isSame = metadata.name === before.metadata.name && spec.node === before.spec.node;
      return isSame && status.state === "ready" && status.restarts === before.status.restarts + 1;
    });
    neverTwo();
  });

  it("and stay away have it run elsewhere after it was stopped, and pods that wait for their node wait", async () => {
    const before = await one();
    const kept = (await podsOf("keep")).map(({ metadata }) => metadata.name).toSorted();
    const relay = relayOf(before.spec.node);
    const count = lives().length;
    const cutAt = Date.now();
    relay.cut();
    await until("it runs elsewhere", async () => lives().length === count + 1, 60_000);
    const [last, next] = lives().slice(-2);
    console.log(
      `stopped ${(last?.to ?? 0) - cutAt} ms after the cut, elsewhere ${(next?.from ?? 0) - cutAt} ms after it`,
    );
    neverTwo();
    const held = (await podsOf("keep")).filter(({ status }) => status.reason === "NODE_LOST_HELD");
    expect(held.map(({ spec, status }) => [spec.node, status.state])).toEqual([[before.spec.node, "unknown"]]);
    expect(await cluster.ok("describe", `pod/${held[0]?.metadata.name}`)).toContain("swain node rm NODE");
    relay.mend();
    await until(
      "the old copy is accounted for",
      async () => (await podsOf("db")).length === 1 && (await one()).status.state === "ready",
    );
    await until("what waited is back", async () =>
      (await podsOf("keep")).every(({ status }) => status.state === "ready" && status.reason === ""),
    );
    expect((await podsOf("keep")).map(({ metadata }) => metadata.name).toSorted()).toEqual(kept);
    expect((await one()).spec.node).not.toBe(before.spec.node);
    expect(lives()).toHaveLength(count + 1);
    neverTwo();
  }, 120_000);

  it("are not those of a bus or a controller that stood still for 2.5 s", async () => {
    const since = async (): Promise<unknown> =>
      (await cluster.nodes()).map(({ metadata, status }) => [metadata.name, status.state, status.since]);
    const count = lives().length;
    const before = await since();
    for (const part of ["nats-server", await leader()]) {
      const stoodAt = Date.now();
      process.kill(cluster.pid(part), "SIGSTOP");
      await until("2.5 s have passed", async () => Date.now() - stoodAt >= 2500);
      process.kill(cluster.pid(part), "SIGCONT");
      // What a false alarm would need: four more heartbeats missed, or looked at.
      await until("5 s have passed", async () => Date.now() - stoodAt >= 7500);
      expect(await since(), part).toEqual(before);
    }
    expect(lives()).toHaveLength(count);
  });

  it("are not those of a leader that died: its successor answers before any lease is over", async () => {
    const count = lives().length;
    const { status } = await one();
    const before = await leader();
    await cluster.kill(before);
    await cluster.ok("scale", "workload/keep", "--replicas", "3", "--wait");
    expect(await leader()).not.toBe(before);
    const ledAt = Date.now();
    await until("leases of before would be over", async () => Date.now() - ledAt > 10_000, 20_000);
    expect(lives()).toHaveLength(count);
    expect((await one()).status).toEqual(status);
  }, 60_000);
});
