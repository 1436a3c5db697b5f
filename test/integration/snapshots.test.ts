// Snapshots on real servers: the leader makes them and cuts the log, and whoever starts afterwards has the same state.
import { afterEach, beforeEach, expect, it } from "vitest";
import type { PodObject } from "../../schemas/generated/types.ts";
import type { Bus, LogStore } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { openLedger } from "../../services/controller/snapshot/open.ts";
import { storedSnapshots } from "../../services/controller/snapshot/store.ts";
import type { StoredSnapshot } from "../../services/controller/snapshot/store.ts";
import { checkSnapshots, makeSnapshot } from "../../services/controller/snapshot/work.ts";
import { verifyState } from "../../services/controller/verify.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { runCli } from "../support/cli.ts";
import { codeOf } from "../support/bus-world.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import type { TestController } from "../support/controllers.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";

const policy = { ...snapshotPolicy, events: 20, kept: 10, retryMs: 200, apartMs: 0 };

describeServers("snapshots", (binary) => {
  let world: RealWorld;
  let bus: Bus;
  let log: LogStore;
  let client: TestClient;
  const cleanups: (() => Promise<unknown>)[] = [];
  const subjects = subjectsOf("test");
  const ports = () => workPorts(bus, "test");

  beforeEach(async () => {
    world = await openWorld(binary);
    bus = await world.connect();
    log = bus.log(subjects.stream);
    client = new TestClient(bus, "test");
  });
  afterEach(async () => {
    await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
    await world.close();
  });

  const cli = (...args: string[]) => runCli([...args, "--server", world.server.url, "--cluster", "test"]);
  const lead = async (id: string, over: Partial<typeof policy> = {}): Promise<TestController> => {
    const started = await startTestController(world, id, { policy: { ...policy, ...over } });
    cleanups.push(() => started.controller.stop());
    await client.leader();
    return started;
  };
  const agent = async (): Promise<void> => {
    const started = await TestAgent.start(world, "n1");
    cleanups.push(() => started.vanish());
    await until("the node", async () => (await client.list("node")).length === 1);
  };
  let scales = 0;
  /** Each makes an event and more follow. */
  const scale = async (times: number): Promise<void> => {
    for (let n = 0; n < times; n++) {
      const operation = `scale-${(scales += 1)}-of-a-workload`;
      await client.ask("default", "workload", "scale", { operation, name: "web", replicas: 2 + (scales % 3) });
    }
  };
  const work = async (): Promise<void> => {
    await agent();
    await client.apply([workloadManifest("web", { replicas: 3 }), serviceManifest("web")]);
    await until("they are ready", async () => {
      const pods = await client.list<PodObject>("pod");
      return pods.length === 3 && pods.every(({ status }) => status.state === "ready");
    });
    await scale(30);
  };
  const whole = async (): Promise<StoredSnapshot[]> => {
    const found: StoredSnapshot[] = [];
    for await (const { id, manifest } of storedSnapshots(ports())) if (manifest !== null) found.push({ id, manifest });
    return found;
  };
  const folded = async (order: "newest" | "oldest" = "newest") => {
    const problems: string[] = [];
    const onProblem = ({ code }: SwainError): void => void problems.push(code);
    const { ledger, base } = await openLedger(ports(), { onForeign: () => {}, onProblem, order });
    return { lines: [...encodeState(ledger.state)], state: ledger.state, base, problems };
  };
  const removeChunk = async (of: StoredSnapshot | undefined): Promise<void> => {
    if (of === undefined) throw new Error("there is a snapshot");
    await bus.request(
      `$JS.API.STREAM.MSG.DELETE.${subjects.snapshots}`,
      { seq: of.manifest.first },
      { timeoutMs: 5000 },
    );
  };

  it("are made and verified by the leader, which cuts the log up to the older one; all who start later see the same", async () => {
    const before: string[][] = [];
    const leader = await lead("c1", { events: 1_000_000 });
    await work();
    before.push((await folded()).lines);
    expect((await folded()).base).toBeNull();
    await leader.controller.stop();
    const next = await lead("c2");
    await scale(40);
    await until("it has cut", () => next.counters.cuts > 0);
    await until("two are kept", async () => (await whole()).length === 2 && next.counters.snapshots > 2);
    const { first } = await log.tail();
    const [newest, older] = await whole();
    expect(first).toBeGreaterThan(1);
    expect(first).toBeLessThanOrEqual(older?.manifest.accepted ?? 0);
    expect(newest?.manifest.sequence).toBeGreaterThan(older?.manifest.sequence ?? 0);
    expect(next.counters).toMatchObject({ snapshotFailures: 0, snapshotsBroken: 0 });
    expect((await client.status())["snapshots"]).toMatchObject({ problem: null, rebuilding: false });
    await next.controller.stop();
    // A job may still be under way.
    await until("the newest is used", async () => (await folded()).base?.id === (await whole())[0]?.id);
    const now = await folded();
    expect(now.lines).toEqual((await folded("oldest")).lines);
    expect(now.problems).toEqual([]);

    const third = await lead("c3");
    expect((await client.status())["sequence"]).toBeGreaterThan(now.state.sequence);
    const pods = await client.list<PodObject>("pod");
    expect(pods.every(({ status }) => status.restarts === 0)).toBe(true);
    expect(third.counters.foreign).toBe(0);
    expect((await verifyState(ports())).differences).toEqual([]);
  });

  /** Two good snapshots and a cut log; nobody leads any more. */
  const cutLog = async (): Promise<void> => {
    const leader = await lead("c1");
    await work();
    await until("it has cut", () => leader.counters.cuts > 0);
    await leader.controller.stop();
    await until("two are kept", async () => (await checkSnapshots(ports())).verified.length === 2);
  };
  const append = async (subject: string, data: Uint8Array): Promise<number> => {
    const store = bus.log(subjects.snapshots);
    const expectedSequence = (await store.tail()).last;
    return store.append(subject, data, { expectedSequence, messageId: systemIds.next(), timeoutMs: 5000 });
  };
  /** A newer snapshot than all, with a good manifest and something else in its chunk. */
  const appendDamaged = async (): Promise<void> => {
    const [newest] = await whole();
    if (newest === undefined) throw new Error("there is a snapshot");
    const first = await append(subjects.snapshot("damaged", "chunk"), new Uint8Array(100));
    const { chunks } = newest.manifest;
    const manifest = { ...newest.manifest, first, chunks: chunks.slice(0, 1) };
    await append(subjects.snapshot("damaged", "manifest"), new TextEncoder().encode(JSON.stringify(manifest)));
  };

  it("that are damaged are passed over, said and replaced", async () => {
    await cutLog();
    const good = await folded();
    await appendDamaged();
    await append(subjects.snapshot("interrupted", "chunk"), new Uint8Array(100));
    const now = await folded();
    expect(now.problems).toEqual(["SNAPSHOT_BROKEN"]);
    expect(now.lines).toEqual(good.lines);
    const found = await verifyState(ports());
    expect(found.snapshots.map(({ state }) => state)).toEqual(["equal", "equal", "broken"]);
    const told = await cli("state", "verify");
    expect(told.code).toBe(1);
    expect(told.stdout).toMatch(/SNAPSHOT_BROKEN: snapshot damaged .* is not what was written/);
    const next = await lead("c2");
    expect(next.counters.snapshotsBroken).toBeGreaterThan(0);
    await until("a new one is there", async () => {
      const ids = (await whole()).map(({ id }) => id);
      return ids.length === 2 && !ids.includes("damaged") && next.counters.snapshots > 0;
    });
    expect((await verifyState(ports())).snapshots.map(({ state }) => state)).toEqual(["equal", "equal"]);
    const strays: string[] = [];
    for await (const { id, manifest } of storedSnapshots(ports())) if (manifest === null) strays.push(id);
    expect(strays).toEqual([]);
  });

  it("that the log was cut beyond, left by a leader that was interrupted, are not called broken", async () => {
    await cutLog();
    const [newest] = await whole();
    await log.cut((newest?.manifest.accepted ?? 0) - 1);
    const found = await verifyState(ports());
    expect(found.snapshots.map(({ id, state }) => [id, state])).toEqual([[newest?.id, "equal"]]);
    expect(found.missing).toBe(1);
  });

  it("of which the newest lost a chunk give the state all the same; without any a start says what to do", async () => {
    await cutLog();
    const good = await folded();
    await removeChunk((await whole())[0]);
    const now = await folded();
    expect(now.base?.id).toBe((await whole())[1]?.id);
    expect(now.lines).toEqual(good.lines);
    await removeChunk((await whole())[1]);
    const refused = await startTestController(world, "c2").catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "LOG_INCOMPLETE" });
    expect((await log.tail()).first).toBeGreaterThan(1);
  });

  it("are made anew where the only one lost its manifest: what the log lost before may be known from it alone", async () => {
    const never = { events: 1_000_000 };
    const leader = await lead("c1", never);
    await work();
    await leader.controller.stop();
    await makeSnapshot(ports(), { sequence: (await log.tail()).last, afresh: false, lines: null });
    const seq = (await bus.log(subjects.snapshots).tail()).last;
    await bus.request(`$JS.API.STREAM.MSG.DELETE.${subjects.snapshots}`, { seq }, { timeoutMs: 5000 });
    expect(await whole()).toEqual([]);
    const next = await lead("c2", never);
    await until("a new one is there", async () => (await whole()).length === 1);
    expect(next.counters.snapshotsBroken).toBeGreaterThan(0);
    expect((await checkSnapshots(ports())).problems).toEqual([]);
  });

  it("are written from memory by a leader that finds them all gone", async () => {
    const leader = await lead("c1", { checkMs: 300 });
    await work();
    await until("it has cut", () => leader.counters.cuts > 0);
    await bus.request(`$JS.API.STREAM.DELETE.${subjects.snapshots}`, undefined, { timeoutMs: 5000 });
    expect(await codeOf(folded())).toBe("LOG_INCOMPLETE");
    await until("two are there", async () => (await checkSnapshots(ports())).verified.length === 2);
    expect(leader.counters.snapshotsBroken).toBeGreaterThan(0);
    expect((await folded()).state.logId).not.toBe("");
    expect((await verifyState(ports())).differences).toEqual([]);
  });

  it("are not taken away by a controller that was asked for one before it was deposed", async () => {
    await cutLog();
    const before = await whole();
    const late = makeSnapshot(ports(), {
      sequence: (before[1]?.manifest.sequence ?? 0) + 1,
      afresh: false,
      lines: null,
    });
    expect(await codeOf(late)).toBe("APPEND_CONFLICT");
    expect(await whole()).toEqual(before);
    const [one, other] = await Promise.all(
      [0, 1].map(async () => {
        const { state } = await folded();
        return codeOf(makeSnapshot(ports(), { sequence: state.sequence, afresh: false, lines: null }));
      }),
    );
    expect([one, other]).toContain("none");
    expect((await verifyState(ports())).snapshots.every(({ state }) => state === "equal")).toBe(true);
    expect(await codeOf(folded())).toBe("none");
  });

  it("make room in a log that is full", async () => {
    const leader = await lead("c1", { events: 1_000_000, bytes: 1e9 });
    await work();
    const info = (await bus.request(`$JS.API.STREAM.INFO.${subjects.stream}`, undefined, { timeoutMs: 5000 })).json();
    const { config, state } = info as { config: object; state: { bytes: number } };
    const body = { ...config, max_bytes: state.bytes + 2000 };
    await bus.request(`$JS.API.STREAM.UPDATE.${subjects.stream}`, body, { timeoutMs: 5000 });
    await until("it was full and was cut", async () => {
      await scale(5);
      return leader.counters.cuts > 0;
    });
    await until("changes are taken again", async () => {
      const operation = systemIds.next();
      const answer = await client.ask<{ sequence?: number }>("default", "workload", "scale", {
        operation,
        name: "web",
        replicas: 1,
      });
      return answer.sequence !== undefined;
    });
    expect(await codeOf(folded())).toBe("none");
  });

  it("and projections are made anew on request, which ends when that was observed", async () => {
    await cutLog();
    await lead("c2", { events: 1_000_000 });
    const before = await whole();
    const made = await cli("state", "rebuild");
    expect(made.code, made.stdout + made.stderr).toBe(0);
    expect(made.stdout).toMatch(/equal, byte for byte/);
    const after = await whole();
    expect(after[0]?.id).not.toBe(before[0]?.id);
    expect(after).toHaveLength(2);
    const events = await cli("events", "--last", "1000");
    expect(events.stderr).toMatch(/LOG_CUT: events up to sequence \d+ are not in the log any more/);
    expect(events.stdout.split("\n").length).toBeGreaterThan(5);
    expect((await cli("events", "--last", "3")).stderr).toBe("");
  });

  it("and keys that were damaged where nobody is told are found by a verification, and made anew on request", async () => {
    await cutLog();
    await lead("c2", { events: 1_000_000 });
    const bucket = subjects.buckets.desired;
    const filter = `$KV.${bucket}.workload.default.web`;
    const removal = await bus.request(`$JS.API.STREAM.PURGE.KV_${bucket}`, { filter }, { timeoutMs: 5000 });
    expect(removal.json()).toMatchObject({ success: true });
    await appendDamaged();
    const found = await cli("state", "verify");
    expect(found.code).toBe(1);
    expect(found.stdout).toMatch(/1 key differs/);
    expect(found.stdout).toMatch(/SNAPSHOT_BROKEN: snapshot damaged/);
    expect(found.stdout).toMatch(/^desired workload\.default\.web\n {2}expected \{.+\n {2}found {4}no such key$/m);
    const made = await cli("state", "rebuild");
    expect(made.code, made.stdout + made.stderr).toBe(0);
    expect(made.stdout).toMatch(/equal, byte for byte/);
    expect((await whole()).map(({ id }) => id)).not.toContain("damaged");
    expect((await cli("state", "verify")).code).toBe(0);
  });

  it("let a standby whose place was cut away fold on from them", async () => {
    const leader = await lead("c1");
    // It hears beats and no records, until it is told that its place is gone.
    let tell: ((tail: { first: number; last: number }) => void) | undefined;
    const own = await world.connect();
    const follow: LogStore["follow"] = (_from, _onRecord, onBroken) => {
      tell = onBroken;
      return () => {};
    };
    const deaf = (stream: string): LogStore =>
      Object.create(own.log(stream), { follow: { value: follow } }) as LogStore;
    const standby = await startTestController(world, "c2", {
      bus: Object.create(own, { log: { value: deaf } }) as Bus,
      policy,
    });
    cleanups.push(() => standby.controller.stop());
    const sequence = (): number => {
      const figures = standby.controller.insight.figures();
      const found = figures.find(({ family }) => family.name === "swain_controller_log_sequence");
      return found?.samples[0]?.value ?? 0;
    };
    await work();
    await until("the log was cut", () => leader.counters.cuts > 0);
    const tail = await log.tail();
    expect(sequence()).toBeLessThan(tail.first);
    tell?.(tail);
    await until("it has folded on", () => sequence() >= tail.last);
    expect(standby.controller.leads).toBe(false);
  });

  it("are made by whoever stands where the log is full, since nobody else would cut it", async () => {
    const small = { ...world, cluster: "small" };
    await ensureStreams(bus, "small", { replicas: 1, logBytes: 512 * 1024 });
    const smallLog = bus.log(subjectsOf("small").stream);
    const operator = new TestClient(bus, "small");
    const slow = (): Promise<never> => Promise.reject(new SwainError("TIMEOUT", "its snapshots are not done in time"));
    const first = await startTestController(small, "c1", { snapshotter: { check: slow, make: slow } });
    await operator.leader();
    const untilFull = async (
      change: (round: number) => Promise<{ error?: { code: string } | undefined }>,
    ): Promise<void> => {
      for (let round = 0; (await change(round)).error?.code !== "LOG_FULL"; round++) expect(round).toBeLessThan(1000);
    };
    await untilFull((round) => {
      const env = [{ name: "A", value: `${round}-${"x".repeat(4000)}` }];
      return operator.apply([
        workloadManifest("web", { replicas: 0, containers: [{ name: "main", image: "a:1", env }] }),
      ]);
    });
    // Small events may still fit.
    await untilFull((round) => {
      const scaled = { operation: `fills-the-log-${round}`, name: "web", replicas: round % 2 };
      return operator.ask("default", "workload", "scale", scaled);
    });
    await first.controller.stop();
    const second = await startTestController(small, "c2", { policy });
    cleanups.push(() => second.controller.stop());
    await until("the second leads", () => second.controller.leads);
    expect((await smallLog.tail()).first).toBeGreaterThan(1);
    expect((await operator.apply([workloadManifest("after")])).error).toBeUndefined();
  });
});
