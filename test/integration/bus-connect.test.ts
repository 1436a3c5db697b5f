// Getting in, staying in, and being told why not.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ApiError } from "../../schemas/generated/types.ts";
import { connectBus } from "../../services/bus/connect.ts";
import { serveMicro } from "../../services/bus/micro.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { refusedReplies, respond, respondError } from "../../services/bus/respond.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import type { LogFields } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { connectTo } from "../support/bus.ts";
import { codeOf, until, waitMs } from "../support/bus-world.ts";
import { describeServers, newUser, startServer } from "../support/nats.ts";
import type { ServerOptions, TestServer } from "../support/nats.ts";
import { Relay } from "../support/relay.ts";

const names = subjectsOf("test");

describeServers("connecting", (binary) => {
  let folder: string;
  let server: TestServer | undefined;
  const open: Bus[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "swain-connect-"));
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((bus) => bus.close()));
    await server?.dispose();
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  const start = async (options: ServerOptions = {}): Promise<TestServer> =>
    (server = await startServer(binary, options));
  const connect = async (url: string, options: Parameters<typeof connectTo>[1] = {}): Promise<Bus> => {
    const bus = await connectTo(url, options);
    open.push(bus);
    return bus;
  };
  const credentials = async (content: string): Promise<string> => {
    const path = join(folder, `creds-${Math.random()}`);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };

  it("tells the server's features", async () => {
    const bus = await connect((await start()).url);
    expect(bus.features.version).toBe(binary.version);
    expect(bus.state()).toBe("connected");
    expect(bus.inboxPrefix).toBe("_INBOX.");
  });

  it("takes the server's word that it heard nothing for a broken connection, not for a defect", async () => {
    const { port } = await start({ config: 'ping_interval: "1s"\nping_max: 1' });
    const relay = await Relay.open({ host: "127.0.0.1", port });
    const said: unknown[] = [];
    const log = { ...silent, warn: (message: string, fields?: LogFields) => said.push({ message, ...fields }) };
    try {
      await connect(`nats://127.0.0.1:${relay.port}`, { log });
      // What the server sends still arrives.
      relay.cut("there");
      await until(() => said.length > 0, "the server reports it", 15_000);
      const report = { message: "the server reported an error", code: "NATS_UNREACHABLE", error: "Stale Connection" };
      expect(said).toContainEqual(report);
    } finally {
      relay.close();
    }
  });

  it("says NATS_UNREACHABLE when nobody answers in time", async () => {
    const { url } = await start();
    await server?.stop();
    expect(await codeOf(connectTo(url, { connectTimeoutMs: 500 }))).toBe("NATS_UNREACHABLE");
    const started = performance.now();
    expect(await codeOf(connectTo("no-such-host.invalid:4222", { connectTimeoutMs: 300 }))).toBe("NATS_UNREACHABLE");
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("says NATS_UNREACHABLE in time also of a server that accepts and says nothing", async () => {
    const { url } = await start();
    await server?.freeze();
    const started = performance.now();
    expect(await codeOf(connectTo(url, { connectTimeoutMs: 500 }))).toBe("NATS_UNREACHABLE");
    expect(performance.now() - started).toBeLessThan(4000);
    server?.thaw();
  });

  it("never shows a password of the address", async () => {
    const error: unknown = await connectTo("nats://me:secret@127.0.0.1:1", { connectTimeoutMs: 100 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(String(error)).toContain("127.0.0.1:1");
    expect(String(error)).not.toContain("secret");
  });

  it("waits for a server that comes later, and gives up when the signal aborts", async () => {
    const { url } = await start();
    await server?.stop();
    const options = {
      servers: url,
      name: "test",
      cluster: "test",
      clock: systemClock,
      random: systemRandom,
      log: silent,
    };
    const giveUp = new AbortController();
    const given = codeOf(connectBus({ ...options, signal: giveUp.signal }));
    const waiting = connectBus(options);
    giveUp.abort();
    expect(await given).toBe("BUS_CLOSED");
    await server?.start();
    open.push(await waiting);
    expect(open[0]?.state()).toBe("connected");
  });

  it("gets in with the seed of a known user and says NATS_DENIED of any other", async () => {
    const [known, stranger] = [newUser(), newUser()];
    const { url } = await start({ users: [{ nkey: known.nkey }] });
    const creds = await credentials(`# the operator\n${known.seed}\n`);
    await chmod(creds, 0o600);
    expect((await connect(url, { creds })).state()).toBe("connected");
    expect(await codeOf(connectTo(url, { creds: await credentials(stranger.seed) }))).toBe("NATS_DENIED");
    expect(await codeOf(connectTo(url))).toBe("NATS_DENIED");
    expect(await codeOf(connectTo(url, { creds: await credentials("nonsense") }))).toBe("NATS_DENIED");
    expect(await codeOf(connectTo(url, { creds: join(folder, "missing") }))).toBe("NATS_DENIED");
  });

  it("says NATS_DENIED of subjects the user has no right to, and goes on with the others", async () => {
    const [admin, user] = [newUser(), newUser()];
    const inbox = names.node.inbox("n1");
    const { url } = await start({
      users: [
        { nkey: admin.nkey },
        { nkey: user.nkey, publish: [names.node.all("n1")], subscribe: [names.node.all("n1")] },
      ],
    });
    const controller = await connect(url, { creds: await credentials(admin.seed) });
    const agent = await connect(url, { creds: await credentials(user.seed), inboxPrefix: inbox });
    controller.subscribe(names.node.report("n1"), (message) => respond(controller, message, inbox, "taken"));
    await controller.flush(waitMs);
    expect(await codeOf(agent.request(names.api("_", "x", "y"), {}, { timeoutMs: waitMs }))).toBe("NATS_DENIED");
    expect(await codeOf(agent.request(names.node.command("n2", "ping"), {}, { timeoutMs: waitMs }))).toBe(
      "NATS_DENIED",
    );
    expect((await agent.request(names.node.report("n1"), {}, { timeoutMs: waitMs })).json()).toBe("taken");
  });

  it("commands an agent that may speak under its own subjects alone", async () => {
    const [admin, user] = [newUser(), newUser()];
    const inbox = names.node.inbox("n1");
    const { url } = await start({
      users: [
        { nkey: admin.nkey },
        { nkey: user.nkey, publish: [names.node.all("n1")], subscribe: [names.node.all("n1")] },
      ],
    });
    const controller = await connect(url, { creds: await credentials(admin.seed) });
    const agent = await connect(url, { creds: await credentials(user.seed), inboxPrefix: inbox });
    agent.subscribe(names.node.commandAll("n1"), (message) => respond(agent, message, inbox, { did: message.json() }));
    await agent.flush(waitMs);
    const answer = await controller.request(names.node.command("n1", "assign"), 7, { timeoutMs: waitMs });
    expect(answer.json()).toEqual({ did: 7 });
  });

  it("takes the answer to a command from the asked node alone", async () => {
    const [admin, one, two] = [newUser(), newUser(), newUser()];
    const own = (id: string) => ({ publish: [names.node.all(id)], subscribe: [names.node.all(id)] });
    const { url } = await start({
      users: [{ nkey: admin.nkey }, { nkey: one.nkey, ...own("n1") }, { nkey: two.nkey, ...own("n2") }],
    });
    const controller = await connect(url, { creds: await credentials(admin.seed) });
    const [asked, other] = [names.node.inbox("n1"), names.node.inbox("n2")];
    const agent = await connect(url, { creds: await credentials(one.seed), inboxPrefix: asked });
    const forger = await connect(url, { creds: await credentials(two.seed), inboxPrefix: other });
    agent.subscribe(names.node.commandAll("n1"), (message) => {
      forger.publish((message.reply ?? "").replace(asked, other), "forged");
      void forger.flush(waitMs).then(() => respond(agent, message, asked, "true"));
    });
    await agent.flush(waitMs);
    const answer = await controller.request(names.node.command("n1", "ping"), {}, { timeoutMs: waitMs });
    expect(answer.json()).toBe("true");
  });

  it("hears a subscription that was refused as soon as the user has the right and connects again", async () => {
    const [admin, user] = [newUser(), newUser()];
    const users = (subscribe: string[]) => [{ nkey: admin.nkey }, { nkey: user.nkey, publish: [">"], subscribe }];
    const running = await start({ users: users(["other"]) });
    const sender = await connect(running.url, { creds: await credentials(admin.seed) });
    const receiver = await connect(running.url, { creds: await credentials(user.seed) });
    const heard: BusMessage[] = [];
    receiver.subscribe(names.leader, (message) => heard.push(message));
    await receiver.flush(waitMs);
    running.setUsers(users([names.leader]));
    await running.stop();
    await until(() => receiver.state() === "disconnected" && sender.state() === "disconnected", "the loss was noticed");
    await running.start();
    await until(() => receiver.state() === "connected" && sender.state() === "connected", "both are back");
    await receiver.flush(waitMs);
    sender.publish(names.leader, {});
    await until(() => heard.length === 1, "it was heard");
  });

  it("comes back after its user was removed and added again", async () => {
    const [admin, user] = [newUser(), newUser()];
    const running = await start({ users: [{ nkey: admin.nkey }, { nkey: user.nkey }] });
    const bus = await connect(running.url, { creds: await credentials(user.seed) });
    const states: string[] = [];
    bus.onState((state) => states.push(state));
    running.setUsers([{ nkey: admin.nkey }]);
    await until(() => bus.state() === "disconnected", "it was thrown out");
    // Several refusals in a row, after which the client would give up by default.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    running.setUsers([{ nkey: admin.nkey }, { nkey: user.nkey }]);
    await until(() => bus.state() === "connected", "it is back");
    expect(states).toEqual(["disconnected", "connected"]);
  });

  it("comes back at once also after the wall clock was set back", async () => {
    const running = await start();
    const bus = await connect(running.url);
    const back = Date.now() - 3_600_000;
    vi.spyOn(Date, "now").mockReturnValue(back);
    try {
      await running.kill();
      await until(() => bus.state() === "disconnected", "it is cut off");
      await running.start();
      await until(() => bus.state() === "connected", "it is back");
    } finally {
      vi.restoreAllMocks();
    }
  });

  it("answers nobody outside the asker's inbox, and counts the tries", async () => {
    const { url } = await start();
    const controller = await connect(url);
    const forger = await connect(url);
    const victim: BusMessage[] = [];
    controller.subscribe(names.node.report("*"), (message) =>
      respond(controller, message, names.node.inbox("n2"), { accepted: 1 }),
    );
    controller.subscribe(names.node.command("n1", "assign"), (message) => victim.push(message));
    await controller.flush(waitMs);
    forger.publish(names.node.report("n2"), {}, { reply: names.node.command("n1", "assign") });
    forger.publish(names.node.report("n2"), {}, { reply: `$KV.${names.buckets.pods}.default.web-1` });
    forger.publish(names.node.report("n2"), {}, { reply: `$JS.API.STREAM.DELETE.${names.stream}` });
    await until(() => refusedReplies(controller) === 3, "all were refused");
    await controller.flush(waitMs);
    expect(victim).toEqual([]);
  });

  it("answers with an error what is too large to be sent, and with the beginning of an error that is", async () => {
    const { url } = await start();
    const controller = await connect(url);
    const client = await connect(url);
    const long = "x".repeat(1024 * 1024);
    const problems = [{ path: long, rule: "type", message: "" }];
    const errors: Record<string, SwainError> = {
      message: new SwainError("LOG_UNKNOWN", `log ${long}`),
      problems: new SwainError("INVALID_MANIFEST", "one place is wrong", { details: { problems } }),
    };
    controller.subscribe(names.api("_", "x", "*"), (message) => {
      const error = errors[message.subject.split(".").at(-1) ?? ""];
      if (error === undefined) respond(controller, message, "_INBOX.", { long });
      else respondError(controller, message, "_INBOX.", error);
    });
    await controller.flush(waitMs);
    const ask = async (what: string): Promise<unknown> => {
      const answer = await client.request(names.api("_", "x", what), {}, { timeoutMs: waitMs });
      return { ...(answer.json() as ApiError).error, header: answer.header("Nats-Service-Error-Code") };
    };
    expect(await ask("value")).toMatchObject({ code: "PAYLOAD_TOO_LARGE", header: "PAYLOAD_TOO_LARGE" });
    const code = "LOG_UNKNOWN";
    const { action } = new SwainError(code, "");
    expect(await ask("message")).toEqual({ code, action, message: `log ${long}`.slice(0, 500), header: code });
    const answer = await ask("problems");
    expect(answer).toMatchObject({ code: "INVALID_MANIFEST", message: "one place is wrong" });
    expect(answer).not.toHaveProperty("problems");
  });

  it("shows a service to `nats micro`, by all, by name and by id", async () => {
    const { url } = await start();
    const controller = await connect(url);
    const client = await connect(url);
    const cancel = serveMicro(controller, {
      name: "swain-test",
      id: "abc",
      version: "0.1.0",
      description: "A controller",
      started: 0,
      endpoints: [{ name: "apply", subject: names.api("_", "manifest", "apply"), queueGroup: "q" }],
      stats: () => [{ name: "apply", requests: 4, errors: 1, lastError: "BUSY", processingMs: 2 }],
    });
    await controller.flush(waitMs);
    const ask = async (subject: string): Promise<unknown> =>
      (await client.request(subject, undefined, { timeoutMs: waitMs })).json();
    const ping = {
      type: "io.nats.micro.v1.ping_response",
      name: "swain-test",
      id: "abc",
      version: "0.1.0",
      metadata: {},
    };
    for (const subject of ["$SRV.PING", "$SRV.PING.swain-test", "$SRV.PING.swain-test.abc"]) {
      expect(await ask(subject)).toEqual(ping);
    }
    expect(await ask("$SRV.INFO.swain-test")).toMatchObject({
      type: "io.nats.micro.v1.info_response",
      description: "A controller",
      endpoints: [{ name: "apply", subject: "swain.test.api._.manifest.apply", queue_group: "q", metadata: {} }],
    });
    expect(await ask("$SRV.STATS.swain-test.abc")).toMatchObject({
      type: "io.nats.micro.v1.stats_response",
      started: "1970-01-01T00:00:00.000Z",
      endpoints: [
        {
          name: "apply",
          num_requests: 4,
          num_errors: 1,
          last_error: "BUSY",
          processing_time: 2_000_000,
          average_processing_time: 500_000,
        },
      ],
    });
    cancel();
    await controller.flush(waitMs);
    expect(await codeOf(client.request("$SRV.PING", undefined, { timeoutMs: waitMs }))).toBe("NO_LEADER");
  });
});
