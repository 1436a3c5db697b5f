// Three machines, each a network namespace: a cluster, a node that joined, and a proxy that joined.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { NodeObject, PodObject } from "../../schemas/generated/types.ts";
import { root, until } from "../support/cluster.ts";
import { describeNamespaces, Network } from "../support/namespaces.ts";
import type { Machine } from "../support/namespaces.ts";
import { describeServers } from "../support/nats.ts";
import type { ServerBinary } from "../support/nats.ts";
import { StartedPart } from "../support/parts.ts";

describeNamespaces("machines that joined", () => describeServers("a cluster", suite));

function suite(natsServer: ServerBinary): void {
  let network: Network | undefined;
  let folder: string;
  let first: Machine;
  let second: Machine;
  let third: Machine;
  const started: StartedPart[] = [];

  const data = (name: string): string => join(folder, name);

  async function ok(machine: Machine, ...args: string[]): Promise<string> {
    const result = await machine.swain(...args);
    expect(result.code, `swain ${args.join(" ")}\n${result.stdout}${result.stderr}`).toBe(0);
    return result.stdout;
  }

  const up = (name: string, ...args: string[]): Promise<string> =>
    ok(
      first,
      "up",
      "--data",
      data(name),
      "--runtime",
      "process",
      "--nats-server",
      natsServer.path,
      "--detach",
      ...args,
    );

  const token = async (name: string, ...args: string[]): Promise<string> =>
    (await ok(first, "node", "join-token", "--data", data(name), ...args)).trim();

  async function start(machine: Machine, ...args: string[]): Promise<StartedPart> {
    const part = await StartedPart.start(args, machine.within);
    started.push(part);
    return part;
  }

  async function pods(): Promise<PodObject[]> {
    return (JSON.parse(await ok(first, "get", "pods", "-o", "json", "--data", data("a"))) as { items: PodObject[] })
      .items;
  }

  /** Who answered that machine's requests, one after the other. */
  async function answers(machine: Machine, url: string, count: number): Promise<Set<string>> {
    const script = `for (let i = 0; i < ${count}; i++) console.log((await (await fetch(process.argv[1], { headers: { connection: "close" } })).text()).trim())`;
    const { stdout } = await machine.run(process.execPath, "--input-type=module", "-e", script, url);
    return new Set(stdout.trim().split("\n"));
  }

  beforeAll(async () => {
    network = new Network();
    folder = mkdtempSync(join(tmpdir(), "swain-machines-"));
    [first, second, third] = [network.machine("a"), network.machine("b"), network.machine("c")];
    await up("a", "--listen", first.address);
  });

  afterAll(async () => {
    await Promise.all(started.map((part) => part.stop()));
    for (const name of ["a", "plain"]) await first.swain("down", "--data", data(name));
    network?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("reach each other's pods through each other's proxies", async () => {
    await start(
      second,
      "agent",
      "--join",
      await token("a"),
      "--id",
      "web1",
      "--runtime",
      "process",
      "--data",
      data("b"),
      "--stop-pods",
    );
    await until(
      "two nodes are ready",
      async () => (await ok(first, "get", "nodes", "--data", data("a"))).match(/ready/g)?.length === 2,
    );
    await ok(first, "apply", "-f", join(root, "examples/hello"), "--wait", "--data", data("a"));
    const placed = await pods();
    expect(new Set(placed.map((pod) => pod.spec.node))).toEqual(new Set(["node-1", "web1"]));
    const hosts = new Set(placed.flatMap((pod) => (pod.status.addresses ?? []).map(({ host }) => host)));
    expect(hosts).toEqual(new Set([first.address, second.address]));
    const line = await token("a", "--role", "proxy");
    await start(third, "proxy", "--id", "edge", "--all", "--listen", "0.0.0.0", "--join", line, "--data", data("c"));
    const names = new Set(placed.map((pod) => `hello from ${pod.metadata.name}`));
    expect(names.size).toBe(3);
    const answered = async (machine: Machine, address: string): Promise<boolean> => {
      const seen = await answers(machine, `http://${address}:8080`, 12);
      return [...names].every((name) => seen.has(name));
    };
    await until("the third machine's proxy reaches all pods", () => answered(third, "127.0.0.1"));
    await until("the second machine reaches them through the third", () => answered(second, third.address));
    await until("and through the first", () => answered(second, first.address));
  });

  it("cannot read or join without TLS, unless both sides say so", async () => {
    const creds = join(data("a"), "creds/operator.nk");
    const plain = await third.swain("get", "nodes", "--server", `nats://${first.address}:4222`, "--creds", creds);
    expect(plain).toMatchObject({ code: 4, stderr: expect.stringContaining("SERVER_UNTRUSTED") as string });
    await up("plain", "--listen", first.address, "--port", "4333", "--proxy-host", "127.0.0.1", "--insecure");
    const line = await token("plain");
    const asking = ["agent", "--join", line, "--id", "x", "--runtime", "sim", "--data", data("x")];
    const refused = await second.swain(...asking);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("INSECURE_REFUSED") as string });
    const part = await start(second, ...asking, "--insecure");
    await until("it is a node", async () => (await ok(first, "get", "nodes", "--data", data("plain"))).includes("x "));
    await part.stop();
  });

  it("are found again at the same place after the first was stopped and started", async () => {
    await ok(first, "down", "--data", data("a"));
    await up("a", "--listen", first.address);
    await until("web1 is back", async () => /web1 +ready/.test(await ok(first, "get", "nodes", "--data", data("a"))));
    await until("its pods serve on", async () => (await answers(third, "http://127.0.0.1:8080", 12)).size === 3);
  });

  it("tell their own address also when their agent began before the network was up", async () => {
    const late = async (): Promise<NodeObject | undefined> => {
      const nodes = await ok(first, "get", "nodes", "-o", "json", "--data", data("a"));
      return (JSON.parse(nodes) as { items: NodeObject[] }).items.find(({ metadata }) => metadata.name === "late");
    };
    const agent = ["agent", "--id", "late", "--runtime", "process", "--data", data("late")];
    const joined = await start(third, ...agent, "--join", await token("a"));
    await until("it is a node", async () => (await late())?.status.state === "ready");
    expect((await late())?.facts.advertise).toBe(third.address);
    await joined.stop();
    await until("it is missed", async () => (await late())?.status.state === "unknown");
    // As for one that never had a network.
    rmSync(join(data("late"), "advertise"), { force: true });
    await third.run("ip", "link", "set", "eth0", "down");
    const again = await start(third, ...agent);
    await third.run("ip", "link", "set", "eth0", "up");
    await until("it is back", async () => (await late())?.status.state === "ready");
    expect((await late())?.facts.advertise).toBe(third.address);
    await again.stop();
  });
}
