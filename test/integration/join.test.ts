// Machines that join over TLS on loopback, with the program as users run it, on the oldest and on a current server.
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureCertificates } from "../../services/bus/embedded/certificates.ts";
import type { Registry } from "../../services/bus/embedded/registry.ts";
import { decodeJoinToken, encodeJoinToken } from "../../services/bus/join-token.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { connectTo } from "../support/bus.ts";
import { Cluster, swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import type { Result } from "../support/cluster.ts";
import { anyServer, describeServers, newUser, startServer } from "../support/nats.ts";
import { StartedPart } from "../support/parts.ts";

describeServers("joining", (binary) => {
  let cluster: Cluster;
  let folder: string;
  const parts: StartedPart[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "swain-join-"));
    const args = ["--listen", "127.0.0.1", "--nats-server", binary.path];
    cluster = await Cluster.up({ nodes: 1, runtime: "process", args });
  });
  afterAll(async () => {
    await Promise.all(parts.map((part) => part.stop()));
    await cluster?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const token = async (...args: string[]): Promise<string> => (await cluster.ok("node", "join-token", ...args)).trim();

  const own = (id: string): string => join(folder, id);

  const agentArgs = (id: string): string[] => ["agent", "--id", id, "--runtime", "process", "--data", own(id)];

  async function start(...args: string[]): Promise<StartedPart> {
    const part = await StartedPart.start(args);
    parts.push(part);
    return part;
  }

  /** An agent that is expected not to get in. */
  const refused = (line: string, id: string): Promise<Result> => swain([...agentArgs(id), "--join", line]);

  const state = async (id: string): Promise<string | undefined> =>
    (await cluster.nodes()).find((node) => node.metadata.name === id)?.status.state;

  test("one line lets a machine join; it keeps its own key and comes back without the line", async () => {
    const line = await token();
    const first = await start(...agentArgs("web1"), "--join", line);
    await until("web1 is ready", async () => (await state("web1")) === "ready");
    expect(cluster.server).toMatch(/^tls:/);
    expect(statSync(join(own("web1"), "creds/agent-web1.nk")).mode & 0o777).toBe(0o600);
    const configuration = readFileSync(join(cluster.data, "nats/nats-server.conf"), "utf8");
    expect(configuration).not.toContain(readFileSync(join(own("web1"), "creds/agent-web1.nk"), "utf8").trim());
    await first.stop();
    await until("web1 is unheard", async () => (await state("web1")) === "unknown");
    // As a unit file would: with the used line, and with none, which also knows the id.
    const second = await start(...agentArgs("web1"), "--join", line);
    await until("web1 is back", async () => (await state("web1")) === "ready");
    await second.stop();
    await until("web1 is unheard again", async () => (await state("web1")) === "unknown");
    const third = await start("agent", "--runtime", "process", "--data", own("web1"));
    await until("web1 is back again", async () => (await state("web1")) === "ready");
    await third.stop();
  });

  test("after having joined, a line of another cluster is tried, and one of a cluster that is away is not", async () => {
    const real = decodeJoinToken(await token());
    const authority = { cluster: "x", hosts: [], now: Date.now() };
    const { ca } = await ensureCertificates(systemDisk, join(folder, "other"), authority);
    const other = await refused(encodeJoinToken({ ...real, ca }), "web1");
    expect(other).toMatchObject({ code: 4, stderr: expect.stringContaining("SERVER_UNTRUSTED") as string });
    const file = join(own("web1"), "joined.json");
    const kept = readFileSync(file, "utf8");
    const away = { ...(JSON.parse(kept) as object), server: `tls://127.0.0.1:${await freePort()}` };
    writeFileSync(file, JSON.stringify(away));
    const part = await start(...agentArgs("web1"), "--join", encodeJoinToken(real));
    expect(part.output).not.toContain("joined cluster");
    await part.stop();
    writeFileSync(file, kept);
  });

  test("a line serves as often and for what it was made, and an id is had once", async () => {
    const line = await token("--uses", "2");
    await start(...agentArgs("web2"), "--join", line);
    const taken = await swain([...agentArgs("web2"), "--data", own("other"), "--join", line]);
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining("NODE_ID_TAKEN") as string });
    const local = await refused(line, "node-1");
    expect(local.stderr).toContain("NODE_ID_TAKEN");
    const proxy = await swain(["proxy", "--all", "--data", own("p"), "--join", line]);
    expect(proxy).toMatchObject({ code: 2, stderr: expect.stringContaining("JOIN_TOKEN_INVALID") as string });
    await start(...agentArgs("web3"), "--join", line);
    const third = await refused(line, "web4");
    expect(third).toMatchObject({ code: 1, stderr: expect.stringContaining("JOIN_TOKEN_USED") as string });
  });

  test("a proxy joins with a line of its own", async () => {
    const proxy = await start(
      "proxy",
      "--id",
      "edge",
      "--all",
      "--data",
      own("edge"),
      "--join",
      await token("--role", "proxy"),
    );
    await until("the proxy reads the endpoints", async () => !proxy.output.includes("cannot reach the bus"));
    expect(readFileSync(join(cluster.data, "nats/nats-server.conf"), "utf8")).toContain("swain.default.proxy.edge.>");
  });

  test("removing a node ends its credentials and its connections, and frees its id", async () => {
    const agent = await start(...agentArgs("web5"), "--join", await token());
    await until("web5 is ready", async () => (await state("web5")) === "ready");
    const creds = join(own("web5"), "creds/agent-web5.nk");
    const inboxPrefix = "swain.default.node.web5.inbox";
    const bus = await connectTo(cluster.server, { creds, inboxPrefix });
    expect(bus.state()).toBe("connected");
    await cluster.ok("node", "rm", "web5", "--force");
    await until("its connection was closed", async () => bus.state() !== "connected");
    await bus.close();
    await expect(connectTo(cluster.server, { creds, inboxPrefix })).rejects.toMatchObject({ code: "NATS_DENIED" });
    await agent.stop();
    const line = await token();
    await start("agent", "--id", "web5", "--runtime", "process", "--data", own("web5-anew"), "--join", line);
    await until("another machine has the id", async () => (await state("web5")) === "ready");
  });

  test("a key that is none is refused to operators and to who holds a line, and machines go on joining", async () => {
    const line = await token();
    const { id, seed, ca, servers } = decodeJoinToken(line);
    const { join: subjects } = subjectsOf("default");
    const publicKey = `U${"A".repeat(55)}`;
    const ask = async (credentials: object, subject: string, request: object): Promise<unknown> => {
      const bus = await connectTo(servers.join(","), { ...(ca === null ? {} : { ca }), ...credentials });
      try {
        return (await bus.request(subject, { kind: "agent", publicKey, ...request }, { timeoutMs: 15_000 })).json();
      } finally {
        await bus.close();
      }
    };
    const refusal = { error: { code: "INVALID_REQUEST" } };
    const holder = { seed, inboxPrefix: subjects.inbox(id).slice(0, -1) };
    expect(await ask(holder, subjects.ask(id), { id: "none" })).toMatchObject(refusal);
    const operator = { creds: cluster.creds("operator") };
    expect(await ask(operator, subjects.token, { ttlMs: 60_000, uses: 1 })).toMatchObject(refusal);
    await start(...agentArgs("web6"), "--join", line);
    await until("web6 is ready", async () => (await state("web6")) === "ready");
  });

  /** Meanwhile the server's configuration cannot be written: no file takes the place of a folder. */
  async function withoutConfiguration<T>(work: () => Promise<T>): Promise<T> {
    const path = join(cluster.data, "nats/nats-server.conf");
    renameSync(path, `${path}.away`);
    mkdirSync(path);
    try {
      return await work();
    } finally {
      rmdirSync(path);
      renameSync(`${path}.away`, path);
    }
  }

  test("a machine that the server could not be told of is let in when it asks again", async () => {
    const line = await token();
    const failed = await withoutConfiguration(() => refused(line, "web7"));
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining("DISK_ERROR") as string });
    await start(...agentArgs("web7"), "--join", line);
    await until("web7 is ready", async () => (await state("web7")) === "ready");
  });

  test("credentials of a removed node end also when the server could not be told of it at first", async () => {
    await start(...agentArgs("web8"), "--join", await token());
    await until("web8 is ready", async () => (await state("web8")) === "ready");
    await withoutConfiguration(async () => {
      await cluster.ok("node", "rm", "web8", "--force");
      await until("it is said", async () => cluster.printed.includes("registrar: DISK_ERROR"));
    });
    const bus = await connectTo(cluster.server, { creds: cluster.creds("controller") });
    // Messages of the feed may come twice; else it is looked again each minute.
    const look = (): void => bus.publish(subjectsOf("default").feed(undefined, "node", "web8", "removed"), {});
    await until("its credentials end", async () => (look(), cluster.printed.includes("agent-web8 was removed")));
    await bus.close();
    const member = { creds: join(own("web8"), "creds/agent-web8.nk"), inboxPrefix: "swain.default.node.web8.inbox" };
    await expect(connectTo(cluster.server, member)).rejects.toMatchObject({ code: "NATS_DENIED" });
  });

  test("an expired line lets nobody in", async () => {
    const line = await token("--ttl", "1s");
    const { id } = decodeJoinToken(line);
    const kept = JSON.parse(readFileSync(join(cluster.data, "nats/members.json"), "utf8")) as Registry;
    const expires = kept.tokens.find((one) => one.id === id)?.expires ?? Infinity;
    await until("its time is over", async () => Date.now() > expires);
    const late = await refused(line, "late");
    expect(late.stderr).toContain("JOIN_TOKEN_EXPIRED");
    expect(late.code).toBe(1);
  });

  test("a line that was forged, for another cluster's server, or cut is told apart", async () => {
    const real = decodeJoinToken(await token());
    const { ca } = await ensureCertificates(systemDisk, join(folder, "tls"), {
      cluster: "x",
      hosts: [],
      now: Date.now(),
    });
    const otherServer = await refused(encodeJoinToken({ ...real, ca }), "wrong");
    expect(otherServer).toMatchObject({ code: 4, stderr: expect.stringContaining("SERVER_UNTRUSTED") as string });
    const forged = await refused(encodeJoinToken({ ...real, seed: newUser().seed }), "wrong");
    expect(forged).toMatchObject({ code: 4, stderr: expect.stringContaining("JOIN_TOKEN_REFUSED") as string });
    expect(forged.stderr).not.toContain(real.seed);
    const cut = await refused(encodeJoinToken(real).slice(0, 100), "wrong");
    expect(cut).toMatchObject({ code: 2, stderr: expect.stringContaining("JOIN_TOKEN_INVALID") as string });
  });

  test("without the cluster's authority the server is not trusted", async () => {
    const seed = readFileSync(cluster.creds("operator"), "utf8").trim();
    const to = (servers: string): Promise<unknown> => connectTo(servers, { seed });
    await expect(to(cluster.server)).rejects.toMatchObject({ code: "SERVER_UNTRUSTED" });
    await expect(to(cluster.server.replace("tls:", "nats:"))).rejects.toMatchObject({ code: "SERVER_UNTRUSTED" });
    const ca = readFileSync(join(cluster.data, "creds/ca.pem"), "utf8");
    const bus = await connectTo(cluster.server, { seed, ca });
    expect(bus.state()).toBe("connected");
    await bus.close();
  });
});

test("an address that demands TLS is never reached without it", async () => {
  const server = await startServer(anyServer());
  try {
    const plain = connectTo(server.url.replace("nats:", "tls:"), { connectTimeoutMs: 1000 });
    await expect(plain).rejects.toMatchObject({ code: "NATS_UNREACHABLE" });
  } finally {
    await server.dispose();
  }
});

test("a cluster on loopback alone lets nobody join, and says what to do", async () => {
  const cluster = await Cluster.up({ nodes: 1, runtime: "sim" });
  try {
    const result = await cluster.run("node", "join-token");
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("JOIN_UNAVAILABLE");
    expect(result.stderr).toContain('nkey: "PUBLIC KEY"');
    expect(result.stderr).toContain("swain up --listen ADDR");
  } finally {
    await cluster.dispose();
  }
});
