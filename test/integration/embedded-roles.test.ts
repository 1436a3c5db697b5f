// Real servers with the users `swain up` makes: what each role may do, and what it is refused.
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, nkeyAuthenticator } from "nats";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBus } from "../../services/bus/connect.ts";
import { configText } from "../../services/bus/embedded/config.ts";
import { ensureUsers, readSeed } from "../../services/bus/embedded/keys.ts";
import { registrarInbox, seedFile } from "../../services/bus/embedded/roles.ts";
import type { Role } from "../../services/bus/embedded/roles.ts";
import { startServer } from "../../services/bus/embedded/start.ts";
import type { EmbeddedServer } from "../../services/bus/embedded/start.ts";
import { featuresOf } from "../../services/bus/features.ts";
import type { Bus } from "../../services/bus/port.ts";
import { respond } from "../../services/bus/respond.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { silent } from "../../services/kernel/log.ts";
import { describeServers } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";

const cluster = "c";
const subjects = subjectsOf(cluster);
const roles: Role[] = [
  "controller",
  "operator",
  "proxy",
  "agent-n1",
  "agent-n2",
  "nodes",
  "registrar",
  "join-t1",
  "proxy-p1",
];

describeServers("the roles of the embedded server", (binary) => {
  let folder: string;
  let server: EmbeddedServer;
  let url: string;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "swain-roles-"));
    const port = await freePort();
    url = `nats://127.0.0.1:${port}`;
    const users = await ensureUsers(systemDisk, join(folder, "creds"), roles);
    const config = configText({
      cluster,
      host: "127.0.0.1",
      port,
      store: join(folder, "store"),
      syncAlways: featuresOf(binary.version).syncAlways,
      users,
    });
    await writeFile(join(folder, "nats.conf"), config);
    server = await startServer({
      program: binary.path,
      config: join(folder, "nats.conf"),
      url,
      log: join(folder, "log", "nats.log"),
      pidFile: join(folder, "nats.pid"),
      seed: await readSeed(systemDisk, join(folder, "creds"), "controller"),
    });
    const controller = await as("controller");
    const manager = await jetstreamManager(controller.connection);
    await manager.streams.add({ name: subjects.stream, subjects: [subjects.eventAll] });
    const kvm = new Kvm(controller.connection);
    for (const bucket of Object.values(subjects.buckets)) await (await kvm.create(bucket)).put("a.b", "{}");
  });

  afterAll(async () => {
    for (const one of open) await one.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A connection of that role, and what the server refused it. */
  async function as(role: Role, inboxPrefix?: string): Promise<{ connection: NatsConnection; refused: string[] }> {
    const connection = await connect({
      servers: url,
      authenticator: nkeyAuthenticator(await readSeed(systemDisk, join(folder, "creds"), role)),
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    });
    open.push(connection);
    const refused: string[] = [];
    void (async () => {
      for await (const status of connection.status()) {
        if (status.type === "error") refused.push(status.error.message);
      }
    })();
    return { connection, refused };
  }

  async function refusesPublish(role: Role, subject: string): Promise<boolean> {
    const { connection, refused } = await as(role);
    connection.publish(subject, "{}");
    await settled(connection);
    return refused.some((message) => message.includes(`Publish to "${subject}"`));
  }

  async function refusesSubscribe(role: Role, subject: string): Promise<boolean> {
    const { connection, refused } = await as(role);
    connection.subscribe(subject, { callback: () => {} });
    await settled(connection);
    return refused.some((message) => message.includes(`Subscription to "${subject}"`));
  }

  const bus = async (role: Role, inboxPrefix?: string): Promise<Bus> => {
    const made = await connectBus({
      servers: url,
      name: role,
      cluster,
      creds: seedFile(join(folder, "creds"), role),
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
      clock: systemClock,
      random: systemRandom,
      log: silent,
    });
    open.push(made);
    return made;
  };

  test("keys lie in a folder of their owner alone", async () => {
    expect((await stat(join(folder, "creds"))).mode & 0o777).toBe(0o700);
    for (const role of roles) expect((await stat(seedFile(join(folder, "creds"), role))).mode & 0o777).toBe(0o600);
  });

  test("a key that exists is kept", async () => {
    const before = await ensureUsers(systemDisk, join(folder, "creds"), roles);
    expect(await ensureUsers(systemDisk, join(folder, "creds"), roles)).toEqual(before);
  });

  test("nobody gets in without a key", async () => {
    await expect(connect({ servers: url, reconnect: false })).rejects.toThrow(/Authorization/);
  });

  test.each([
    ["its own heartbeat", subjects.node.heartbeat("n1"), false],
    ["its own log", subjects.node.log("n1", "web-1"), false],
    ["an event", subjects.event("pod", "default", "web-1", "placed"), true],
    ["the feed", subjects.feed("default", "pod", "web-1", "ready"), true],
    ["the leader's beat", subjects.leader, true],
    ["the api", subjects.api("_", "manifest", "apply"), true],
    ["another node's heartbeat", subjects.node.heartbeat("n2"), true],
    ["another node's command", subjects.node.command("n2", "assign"), true],
    ["a proxy's heartbeat", subjects.proxy.heartbeat("p"), true],
    ["JetStream", "$JS.API.INFO", true],
    ["the deletion of the log", `$JS.API.STREAM.DELETE.${subjects.stream}`, true],
    ["a projection", `$KV.${subjects.buckets.pods}.default.web-1`, true],
    ["somebody's inbox", "_INBOX.abc.def", true],
  ])("publishing %s is refused to an agent as it should be", async (_, subject, expected) => {
    expect(await refusesPublish("agent-n1", subject)).toBe(expected);
  });

  test.each([
    ["its own commands", subjects.node.commandAll("n1"), false],
    ["another node's commands", subjects.node.commandAll("n2"), true],
    ["all nodes", subjects.node.all("*"), true],
    ["the leader's beat", subjects.leader, false],
    ["the feed", subjects.feedAll, true],
    ["everybody's inboxes", "_INBOX.>", true],
  ])("subscribing to %s is refused to an agent as it should be", async (_, subject, expected) => {
    expect(await refusesSubscribe("agent-n1", subject)).toBe(expected);
  });

  test("an agent cannot reach further by sending itself a message with a reply subject of its choice", async () => {
    const target = subjects.event("pod", "default", "web-1", "placed");
    const controller = await as("controller");
    const seen: string[] = [];
    controller.connection.subscribe(target, { callback: (_, message) => void seen.push(message.subject) });
    await controller.connection.flush();
    const { connection, refused } = await as("agent-n1");
    const own = `${subjects.node.inbox("n1")}x`;
    connection.subscribe(own, { callback: (_, message) => void message.respond("{}") });
    connection.publish(own, "", { reply: target });
    await expect.poll(() => refused.length).toBe(1);
    await controller.connection.flush();
    expect(seen).toEqual([]);
  });

  test("a command reaches an agent and its answer comes back under the agent's own inbox", async () => {
    const agent = await bus("agent-n1", subjects.node.inbox("n1"));
    agent.subscribe(subjects.node.commandAll("n1"), (message) => {
      respond(agent, message, subjects.node.inbox("n1"), { held: 7 });
    });
    await agent.flush(2000);
    const controller = await bus("controller");
    const answer = await controller.request(subjects.node.command("n1", "ping"), {}, { timeoutMs: 2000 });
    expect(answer.json()).toEqual({ held: 7 });
    await expect(
      controller.request(subjects.node.command("n2", "ping"), {}, { timeoutMs: 2000 }),
    ).rejects.toMatchObject({ code: "NO_LEADER" });
  });

  test("an agent's request to the leader is answered", async () => {
    const controller = await bus("controller");
    controller.subscribe(subjects.node.report("*"), (message) => {
      respond(controller, message, subjects.node.inbox("n1"), { accepted: 1 });
    });
    await controller.flush(2000);
    const agent = await bus("agent-n1", subjects.node.inbox("n1"));
    const answer = await agent.request(subjects.node.report("n1"), {}, { timeoutMs: 2000 });
    expect(answer.json()).toEqual({ accepted: 1 });
  });

  test("the role of many simulated nodes may act for each, and for nothing else", async () => {
    expect(await refusesPublish("nodes", subjects.node.heartbeat("sim-17"))).toBe(false);
    expect(await refusesPublish("nodes", subjects.event("pod", "default", "web-1", "placed"))).toBe(true);
    expect(await refusesPublish("nodes", "$JS.API.INFO")).toBe(true);
  });

  test.each([
    ["the api", subjects.api("_", "manifest", "apply"), false],
    ["credit for logs", subjects.node.command("n1", "logs-credit"), false],
    ["input for a program", subjects.node.execInput("n1", "session-1"), false],
    ["output in a program's name", subjects.node.execOutput("n1", "session-1"), true],
    ["the command to run a program", subjects.node.command("n1", "exec"), true],
    ["discovery", "$SRV.PING", false],
    ["an event", subjects.event("pod", "default", "web-1", "placed"), true],
    ["the feed", subjects.feed("default", "pod", "web-1", "ready"), true],
    ["a projection", `$KV.${subjects.buckets.pods}.default.web-1`, true],
    ["an assignment", subjects.node.command("n1", "assign"), true],
    ["a node's report", subjects.node.report("n1"), true],
    ["a proxy's metrics", subjects.proxy.metrics("p1"), true],
    ["the deletion of the log", `$JS.API.STREAM.DELETE.${subjects.stream}`, true],
    ["the purging of the log", `$JS.API.STREAM.PURGE.${subjects.stream}`, true],
    ["the creation of a stream", "$JS.API.STREAM.CREATE.MINE", true],
    ["a snapshot", subjects.snapshot("x1", "manifest"), true],
    ["the purging of the snapshots", `$JS.API.STREAM.PURGE.${subjects.snapshots}`, true],
    ["a look at the snapshots", `$JS.API.STREAM.INFO.${subjects.snapshots}`, false],
  ])("publishing %s is refused to an operator as it should be", async (_, subject, expected) => {
    expect(await refusesPublish("operator", subject)).toBe(expected);
  });

  test("an operator sees feed, events, leader, logs and what programs print, but nobody's input", async () => {
    const { log, execOutput, execInput } = subjects.node;
    const seen = [subjects.feedAll, subjects.eventAll, subjects.leader, log("*", "*"), execOutput("*", "*")];
    seen.push(subjects.proxy.metrics("*"));
    for (const subject of seen) expect(await refusesSubscribe("operator", subject)).toBe(false);
    expect(await refusesSubscribe("operator", execInput("*", "*"))).toBe(true);
    expect(await refusesSubscribe("proxy", execOutput("*", "*"))).toBe(true);
    expect(await refusesPublish("proxy", execInput("n1", "session-1"))).toBe(true);
  });

  test("an operator reads the log and every bucket", async () => {
    const controller = await bus("controller");
    await controller.log(subjects.stream).append(subjects.eventBatch, new TextEncoder().encode("{}"), {
      expectedSequence: (await controller.log(subjects.stream).tail()).last,
      messageId: "one",
      timeoutMs: 2000,
    });
    const operator = await bus("operator");
    const read: number[] = [];
    await operator.log(subjects.stream).read(1, (record) => read.push(record.sequence));
    expect(read.length).toBeGreaterThan(0);
    for (const name of Object.values(subjects.buckets)) {
      expect([...(await operator.bucket(name).load()).keys()]).toContain("a.b");
    }
  });

  test("a proxy watches endpoints and reads no other bucket", async () => {
    const proxy = await bus("proxy", subjects.proxy.inbox("p1"));
    const entries: string[] = [];
    const stop = proxy.bucket(subjects.buckets.endpoints).watch(">", {
      onEntry: (entry) => entries.push(entry.key),
      onLoaded: () => {},
    });
    await expect.poll(() => entries).toContain("a.b");
    const controller = await bus("controller");
    await controller.bucket(subjects.buckets.endpoints).put("default.web.head", "{}", 0);
    await expect.poll(() => entries).toContain("default.web.head");
    expect((await proxy.bucket(subjects.buckets.endpoints).get("default.web.head"))?.value).toBe("{}");
    stop();
    expect(await refusesPublish("proxy", `$JS.API.STREAM.MSG.GET.KV_${subjects.buckets.desired}`)).toBe(true);
  });

  test.each([
    ["its heartbeat", subjects.proxy.heartbeat("p1"), false],
    ["its metrics", subjects.proxy.metrics("p1"), false],
    ["an event", subjects.event("pod", "default", "web-1", "placed"), true],
    ["endpoints", `$KV.${subjects.buckets.endpoints}.default.web.head`, true],
    ["republished endpoints", `${subjects.root}.endpoints.default.web.head`, true],
    ["the api", subjects.api("_", "manifest", "apply"), true],
    ["a node's heartbeat", subjects.node.heartbeat("n1"), true],
  ])("publishing %s is refused to a proxy as it should be", async (_, subject, expected) => {
    expect(await refusesPublish("proxy", subject)).toBe(expected);
  });

  test.each([
    ["its own question", subjects.join.ask("t1"), false],
    ["another token's question", subjects.join.ask("t2"), true],
    ["the request for a token", subjects.join.token, true],
    ["another token's inbox", `${subjects.join.inbox("t2")}x`, true],
    ["its own inbox", `${subjects.join.inbox("t1")}x`, true],
    ["a node's heartbeat", subjects.node.heartbeat("t1"), true],
    ["the api", subjects.api("_", "manifest", "apply"), true],
    ["JetStream", "$JS.API.INFO", true],
  ])("publishing %s is refused to the holder of a token as it should be", async (_, subject, expected) => {
    expect(await refusesPublish("join-t1", subject)).toBe(expected);
  });

  test.each([
    ["its own inbox", `${subjects.join.inbox("t1")}x`, false],
    ["another token's inbox", `${subjects.join.inbox("t2")}>`, true],
    ["what others ask", subjects.join.ask("*"), true],
    ["the feed", subjects.feedAll, true],
    ["everybody's inboxes", "_INBOX.>", true],
  ])("subscribing to %s is refused to the holder of a token as it should be", async (_, subject, expected) => {
    expect(await refusesSubscribe("join-t1", subject)).toBe(expected);
  });

  test("who asks to join is answered by the registrar, and heard by nobody who joined", async () => {
    const registrar = await bus("registrar", registrarInbox);
    registrar.subscribe(subjects.join.ask("*"), (message) => {
      respond(registrar, message, subjects.join.inbox("t1"), { yes: true });
    });
    await registrar.flush(2000);
    const joiner = await bus("join-t1", subjects.join.inbox("t1"));
    const answer = await joiner.request(subjects.join.ask("t1"), {}, { timeoutMs: 2000 });
    expect(answer.json()).toEqual({ yes: true });
    for (const role of ["agent-n1", "proxy", "proxy-p1"] as const) {
      expect(await refusesSubscribe(role, subjects.join.ask("*")), role).toBe(true);
    }
  });

  test.each([
    ["the list of events", subjects.api("_", "event", "list"), false],
    ["a change", subjects.api("_", "node", "remove"), true],
    ["an event", subjects.eventBatch, true],
    ["a node's command", subjects.node.command("n1", "assign"), true],
    ["JetStream", "$JS.API.INFO", true],
  ])("publishing %s is refused to the registrar as it should be", async (_, subject, expected) => {
    expect(await refusesPublish("registrar", subject)).toBe(expected);
  });

  test("the registrar hears whether removed nodes know it, and no command or report of them", async () => {
    expect(await refusesSubscribe("registrar", subjects.node.heartbeat("n1"))).toBe(false);
    expect(await refusesSubscribe("registrar", subjects.node.report("n1"))).toBe(true);
    expect(await refusesSubscribe("registrar", subjects.node.command("n1", "assign"))).toBe(true);
  });

  test("only operators ask for tokens", async () => {
    expect(await refusesPublish("operator", subjects.join.token)).toBe(false);
    for (const role of ["agent-n1", "proxy", "proxy-p1", "nodes"] as const) {
      expect(await refusesPublish(role, subjects.join.token), role).toBe(true);
    }
  });

  test("a proxy of another machine speaks for itself alone", async () => {
    expect(await refusesPublish("proxy-p1", subjects.proxy.heartbeat("p1"))).toBe(false);
    expect(await refusesPublish("proxy-p1", subjects.proxy.heartbeat("p2"))).toBe(true);
    expect(await refusesPublish("proxy-p1", `$JS.API.STREAM.MSG.GET.KV_${subjects.buckets.desired}`)).toBe(true);
  });

  test("a second server on the same port says that the port is taken", async () => {
    const second = startServer({
      program: binary.path,
      config: join(folder, "nats.conf"),
      url,
      log: join(folder, "log", "second.log"),
      pidFile: join(folder, "second.pid"),
      seed: await readSeed(systemDisk, join(folder, "creds"), "controller"),
    });
    await expect(second).rejects.toMatchObject({ code: "PORT_IN_USE" });
  });
});

/** A refusal is sent before the answer to the ping of the first flush; by the second one its listener has heard it. */
async function settled(connection: NatsConnection): Promise<void> {
  await connection.flush();
  await connection.flush();
}
