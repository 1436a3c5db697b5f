// What the streams of a cluster are made with, and what a full or a foreign server says.
import { afterEach, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { ensureStreams, unmarkLog } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { connectTo } from "../support/bus.ts";
import { codeOf, fresh, waitMs } from "../support/bus-world.ts";
import { anyServer, describeServers, findServers, startServer } from "../support/nats.ts";
import type { ServerOptions, TestServer } from "../support/nats.ts";

const names = subjectsOf("test");
const subject = names.event("pod", "default", "web-1", "placed");

describeServers("the streams", (binary) => {
  let server: TestServer;
  let bus: Bus;

  const open = async (options: ServerOptions = {}): Promise<void> => {
    server = await startServer(binary, options);
    bus = await connectTo(server.url);
  };
  afterEach(async () => {
    await bus?.close();
    await server?.dispose();
  });

  type Config = Record<string, unknown>;
  const api = async (verb: string, value?: unknown): Promise<Record<string, unknown>> =>
    (await bus.request(`$JS.API.${verb}`, value, { timeoutMs: waitMs })).json() as Record<string, unknown>;
  const config = async (stream: string): Promise<Config> => (await api(`STREAM.INFO.${stream}`))["config"] as Config;
  const append = (size: number, expectedSequence: number): Promise<number> =>
    bus.log(names.stream).append(subject, new Uint8Array(size), {
      expectedSequence,
      messageId: fresh(),
      timeoutMs: waitMs,
    });

  it("are made once, with explicit limits", async () => {
    await open();
    const made = await ensureStreams(bus, "test", { replicas: 1 });
    expect(made.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 7 }, () => "created"));
    const again = await ensureStreams(bus, "test", { replicas: 1 });
    expect(again.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 7 }, () => "unchanged"));
    expect(await config(names.stream)).toMatchObject({
      subjects: [names.eventAll],
      retention: "limits",
      storage: "file",
      discard: "new",
      max_age: 0,
      num_replicas: 1,
      deny_delete: false,
    });
    expect(await config(`KV_${names.buckets.desired}`)).toMatchObject({
      max_msgs_per_subject: 5,
      allow_rollup_hdrs: true,
      allow_direct: true,
      discard: "new",
    });
    for (const { name, maxBytes } of made) {
      const { max_bytes, max_msg_size, max_consumers, description } = await config(name);
      expect(max_bytes).toBe(maxBytes);
      expect(Math.min(Number(max_bytes), Number(max_msg_size), Number(max_consumers))).toBeGreaterThan(0);
      expect(description).toContain("cluster test");
    }
  });

  it("are made by several controllers at once", async () => {
    await open();
    const rooms = [2, 3, 4, 5, 6, 7].map((factor) => factor * 1024 * 1024);
    const all = await Promise.all(rooms.map((logBytes) => ensureStreams(bus, "test", { replicas: 1, logBytes })));
    expect(all.filter(([log]) => log?.outcome === "created")).toHaveLength(1);
    expect(new Set(all.map(([log]) => log?.maxBytes)).size).toBe(1);
  });

  it("keep the room an operator gave them, and get back what was changed otherwise", async () => {
    await open();
    await ensureStreams(bus, "test", { replicas: 1, logBytes: 1024 * 1024 });
    const before = await config(names.stream);
    await api(`STREAM.UPDATE.${names.stream}`, { ...before, max_bytes: 2 * 1024 * 1024, description: "mine" });
    const [log] = await ensureStreams(bus, "test", { replicas: 1, logBytes: 1024 * 1024 });
    expect(log).toMatchObject({ outcome: "updated", maxBytes: 2 * 1024 * 1024 });
    expect((await config(names.stream))["description"]).toBe(before["description"]);
  });

  it("are marked for a restore, which nobody else takes away: the log is refused to all but another restore while empty", async () => {
    await open();
    const subjects = async () => (await config(names.stream))["subjects"];
    const mark = () => ensureStreams(bus, "test", { replicas: 1, restores: true });
    await ensureStreams(bus, "test", { replicas: 1 });
    // A restore begins while a controller that has looked brings the settings up to date.
    let begun = false;
    const request: Bus["request"] = async (...args) => {
      const answer = await bus.request(...args);
      if (!begun) {
        begun = true;
        await mark();
        await api(`STREAM.UPDATE.${names.stream}`, { ...(await config(names.stream)), description: "mine" });
      }
      return answer;
    };
    const [log] = await ensureStreams(Object.create(bus, { request: { value: request } }) as Bus, "test", {
      replicas: 1,
    });
    expect(log?.outcome).toBe("updated");
    expect(await subjects()).toEqual([names.eventAll, names.restoring]);

    const tail = () => codeOf(bus.log(names.stream).tail());
    expect(await codeOf(ensureStreams(bus, "test", { replicas: 1 }))).toBe("LOG_RESTORING");
    expect(await tail()).toBe("LOG_RESTORING");
    await mark();
    await append(10, 0);
    expect(await tail()).toBe("LOG_RESTORING");
    expect(await codeOf(mark())).toBe("LOG_RESTORING");
    expect(await subjects()).toEqual([names.eventAll, names.restoring]);
    await unmarkLog(bus, "test");
    expect(await tail()).toBe("none");
    expect(await codeOf(mark())).toBe("LOG_NOT_EMPTY");
    expect(await subjects()).toEqual([names.eventAll]);
  });

  it.each([
    ["no mark", "LOG_NOT_EMPTY", false],
    ["the mark of another, which it leaves", "LOG_RESTORING", true],
  ])(
    "are left to whom begins the log between a restore's look and its mark, with %s",
    async (_what, code, isMarked) => {
      await open();
      const mark = (from: Bus) => codeOf(ensureStreams(from, "test", { replicas: 1, restores: true }));
      await ensureStreams(bus, "test", { replicas: 1 });
      if (isMarked) expect(await mark(bus)).toBe("none");
      let written = 0;
      const request: Bus["request"] = async (...args) => {
        const answer = await bus.request(...args);
        if (written === 0) written = await append(10, 0);
        return answer;
      };
      expect(await mark(Object.create(bus, { request: { value: request } }) as Bus)).toBe(code);
      expect(written).toBe(1);
      const { subjects } = await config(names.stream);
      expect(subjects).toEqual(isMarked ? [names.eventAll, names.restoring] : [names.eventAll]);
      expect(await codeOf(bus.log(names.stream).tail())).toBe(isMarked ? "LOG_RESTORING" : "none");
    },
  );

  it("are not made with replicas on a server below the production floor", async () => {
    await open();
    const outcome = await codeOf(ensureStreams(bus, "test", { replicas: 3 }));
    // The current server takes the request; alone it has no peers to put replicas on.
    expect(outcome).toBe(bus.features.production ? "JETSTREAM_ERROR" : "SERVER_TOO_OLD");
  });

  it("are not made with replicas where one of several servers is below it, by whichever they are asked for", async () => {
    await open();
    const { old, current } = findServers();
    const others = await Promise.all([old, current].map((one) => startServer(one ?? anyServer())));
    try {
      const urls = others.map(({ url }) => url).join(",");
      // Which of them it connects to is by chance.
      for (let time = 0; time < 6; time += 1) {
        const mixed = await connectTo(urls, { everyServer: true });
        const refused = await ensureStreams(mixed, "test", { replicas: 3 }).catch((error: unknown) => error);
        await mixed.close();
        expect(String(refused)).toMatch(`on every server; one is ${others[0]?.version}`);
      }
    } finally {
      await Promise.all(others.map((one) => one.dispose()));
    }
  });

  it("are made smaller where the server has less room", async () => {
    await open({ maxFileStore: "3GB" });
    const made = await ensureStreams(bus, "test", { replicas: 1 });
    expect(made.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 7 }, () => "created"));
    expect(made[0]?.maxBytes).toBe((10 * 1024 ** 3) / 8);
    for (const { name, maxBytes } of made) expect((await config(name))["max_bytes"]).toBe(maxBytes);
    const again = await ensureStreams(bus, "test", { replicas: 1 });
    expect(again.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 7 }, () => "unchanged"));
  });

  it("say LOG_FULL when the log's room is used up, and store nothing more", async () => {
    await open();
    await ensureStreams(bus, "test", { replicas: 1, logBytes: 100_000 });
    let at = 0;
    let code: string;
    do {
      code = await codeOf(append(9000, at).then((sequence) => (at = sequence)));
    } while (code === "none");
    expect(code).toBe("LOG_FULL");
    expect((await bus.log(names.stream).tail()).last).toBe(at);
    expect(at).toBeGreaterThan(8);
    // A conflict is still a conflict, so that a deposed leader learns of it.
    expect(await codeOf(append(10, at - 1))).toBe("APPEND_CONFLICT");
    await api(`STREAM.UPDATE.${names.stream}`, { ...(await config(names.stream)), max_bytes: 200_000 });
    expect(await append(9000, at)).toBe(at + 1);
  });

  it("say LOG_FULL when somebody else's stream took all that the server may store", async () => {
    await open({ maxFileStore: "200MB" });
    await ensureStreams(bus, "test", { replicas: 1, logBytes: 2_000_000 });
    expect(await append(9000, 0)).toBe(1);
    await api("STREAM.CREATE.FOREIGN", { name: "FOREIGN", subjects: ["foreign"], storage: "file", max_bytes: -1 });
    let refused: unknown;
    while (refused === undefined) {
      const reply = await bus.request("foreign", "x".repeat(500_000), { timeoutMs: waitMs });
      refused = (reply.json() as { error?: unknown }).error;
    }
    expect(await codeOf(append(9000, 1))).toBe("LOG_FULL");
    expect((await bus.log(names.stream).tail()).last).toBe(1);
    await api("STREAM.PURGE.FOREIGN");
    expect(await append(9000, 1)).toBe(2);
  });

  it("say PAYLOAD_TOO_LARGE for a value larger than a bucket takes", async () => {
    await open();
    await ensureStreams(bus, "test", { replicas: 1 });
    const put = bus.bucket(names.buckets.pods).put("default.a", "x".repeat(600 * 1024), 0);
    expect(await codeOf(put)).toBe("PAYLOAD_TOO_LARGE");
  });

  it("are JETSTREAM_ERROR where the server has no JetStream or the stream is missing", async () => {
    await open({ jetstream: false });
    expect(await codeOf(append(10, 0))).toBe("JETSTREAM_ERROR");
    expect(await codeOf(bus.log(names.stream).tail())).toBe("JETSTREAM_ERROR");
    expect(await codeOf(ensureStreams(bus, "test", { replicas: 1 }))).toBe("JETSTREAM_ERROR");
    await bus.close();
    await server.dispose();
    await open();
    expect(await codeOf(append(10, 0))).toBe("JETSTREAM_ERROR");
    expect(await codeOf(bus.bucket(names.buckets.pods).put("a", "b", 0))).toBe("JETSTREAM_ERROR");
  });

  it("refuse an append whose subject another stream takes", async () => {
    await open();
    const foreign = { name: "FOREIGN", subjects: [names.eventAll], storage: "file" };
    await api("STREAM.CREATE.FOREIGN", foreign);
    expect(await codeOf(append(10, 0))).toBe("JETSTREAM_ERROR");
    expect(await codeOf(ensureStreams(bus, "test", { replicas: 1 }))).toBe("JETSTREAM_ERROR");
  });
});
