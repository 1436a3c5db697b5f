// A restore while controllers run, or are started again and again: nobody leads a part of the backup.
import { afterEach, beforeEach, expect, it } from "vitest";
import { apiCall } from "../../services/bus/jetstream-api.ts";
import type { StreamInfo } from "../../services/bus/jetstream-api.ts";
import type { Bus, LogStore } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { bucketOrder, subjectsOf } from "../../services/bus/subjects.ts";
import type { Controller } from "../../services/controller/controller.ts";
import { restoreLog } from "../../services/controller/restore.ts";
import type { Restored, SavedRecord } from "../../services/controller/restore.ts";
import type { LogFields, Logger } from "../../services/kernel/log.ts";
import { silent } from "../../services/kernel/log.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { codeOf } from "../support/bus-world.ts";
import { startTestController, TestAgent, TestClient, until } from "../support/controllers.ts";
import { workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";
import { workPorts } from "../support/snapshots.ts";

const { stream, snapshots, buckets } = subjectsOf("test");

/** Something that is waited for until a test lets it go on. */
function gate(): { opened: Promise<void>; open: () => void; fail: (error: Error) => void } {
  let open = (): void => {};
  let fail: (error: Error) => void = () => {};
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { opened, open, fail };
}

describeServers("a restore beside controllers", (binary) => {
  let world: RealWorld;
  let bus: Bus;
  let client: TestClient;
  let agent: TestAgent;
  let first: Controller;
  let saved: SavedRecord[];
  /** Codes of what the first controller warned of. */
  let warned: unknown[];
  const controllers: Controller[] = [];
  const start = async (id: string, log: Logger = silent): Promise<Controller> => {
    const { controller } = await startTestController(world, id, { log });
    controllers.push(controller);
    return controller;
  };
  const remove = (name: string) => bus.request(`$JS.API.STREAM.DELETE.${name}`, undefined, { timeoutMs: 5000 });
  const anew = () => remove(stream);
  const lost = async (): Promise<void> => {
    await world.server.kill();
    world.server.wipe();
    await world.server.start();
    const answers = () => bus.request("$JS.API.INFO", undefined, { timeoutMs: 1000 });
    await until("JetStream is back", () => answers().then(Boolean, () => false));
  };
  const restore = (parts: AsyncIterable<SavedRecord>): Promise<Restored> => {
    const restored = restoreLog(workPorts(bus, "test"), parts, { of: { name: "test", uid: "any" }, force: true });
    restored.catch(() => {});
    return restored;
  };
  async function* whole(): AsyncGenerator<SavedRecord> {
    yield* saved;
  }
  /** A share of the backup, and the rest once told to go on. */
  const halting = (share: number) => {
    const [isThere, rest] = [gate(), gate()];
    async function* parts(): AsyncGenerator<SavedRecord> {
      yield* saved.slice(0, saved.length * share);
      isThere.open();
      await rest.opened;
      yield* saved.slice(saved.length * share);
    }
    return { parts: parts(), isThere: isThere.opened, goOn: rest.open, breakOff: rest.fail };
  };

  beforeEach(async () => {
    world = await openWorld(binary);
    bus = await world.connect();
    client = new TestClient(bus, "test");
    warned = [];
    const warn = (_: string, fields: LogFields = {}): void => void warned.push(fields["code"]);
    first = await start("c1", { ...silent, warn });
    await client.leader();
    agent = await TestAgent.start(world, "n1");
    await client.apply([workloadManifest("early"), workloadManifest("web", { replicas: 2 })]);
    await until("pods", () => agent.pods.size === 3);
    saved = [];
    await bus.log(stream).read(1, ({ data, ...record }) => saved.push({ ...record, data: data.slice() }));
  });
  afterEach(async () => {
    await Promise.all(controllers.splice(0).map((controller) => controller.stop()));
    await agent.vanish();
    await world.close();
  });

  const losses: Record<string, () => Promise<unknown>> = {
    "stream was deleted, which ended its term": async () => {
      await anew();
      // It finds out by a change that cannot be written.
      client.apply([workloadManifest("late")]).catch(() => {});
      await until("nobody leads", () => !first.leads, 30_000);
    },
    "store was lost, and which does not know whether it leads": lost,
  };
  it.each(Object.keys(losses))("is waited for by one whose %s: no pod is stopped, and it leads then", async (loss) => {
    await losses[loss]?.();
    const heard = client.beats();
    const told = agent.assigns.length;
    const { parts, isThere, goOn } = halting(0.5);
    const restored = restore(parts);
    await isThere;
    await until("it looked twice", () => warned.filter((code) => code === "LOG_RESTORING").length > 1, 30_000);
    expect(heard).toEqual([]);
    goOn();
    const { logId } = await restored;
    expect(await client.leader(30_000)).toBe("c1");
    await until("the node follows", () => agent.logId === logId);
    expect(agent.pods.size).toBe(3);
    const items = agent.assigns.slice(told).flatMap((assign) => assign.items);
    expect(items.filter(({ desired }) => desired === "stop")).toEqual([]);
    expect(agent.assigns.slice(told).flatMap(({ gone }) => gone)).toEqual([]);
  });

  it("refuses one that is started, before its first record and behind, also when it is broken off, and can be done again", async () => {
    await first.stop();
    await anew();
    const tried = async (): Promise<string[]> => [
      await codeOf(ensureStreams(bus, "test", { replicas: 1 })),
      await codeOf(start("c2")),
    ];
    const refused = ["LOG_RESTORING", "LOG_RESTORING"];
    const begun = halting(0);
    const nothing = restore(begun.parts);
    await begun.isThere;
    expect(await tried()).toEqual(refused);
    begun.breakOff(new Error("the power is gone"));
    await expect(nothing).rejects.toThrow("the power is gone");
    expect(await tried()).toEqual(refused);

    const { parts, isThere, goOn } = halting(0.5);
    const restored = restore(parts);
    await isThere;
    expect(await tried()).toEqual(refused);
    goOn();
    await restored;
    await start("c2");
    expect(await client.leader()).toBe("c2");
  });

  it("ends where one writes into its log: that one does not lead, and once the log is deleted it is done again", async () => {
    await first.stop();
    // Nothing else is left of the cluster, so a controller may begin one.
    for (const name of [stream, snapshots, ...bucketOrder.map((bucket) => `KV_${buckets[bucket]}`)]) await remove(name);
    await ensureStreams(bus, "test", { replicas: 1 });
    const [stands, marked] = [gate(), gate()];
    // It has seen an empty log without a mark, and is slow.
    const slow = await world.connect();
    const log = (name: string): LogStore => {
      const store = slow.log(name);
      const append: LogStore["append"] = async (...args) => {
        stands.open();
        await marked.opened;
        return store.append(...args);
      };
      return name === stream ? Object.assign(Object.create(store) as LogStore, { append }) : store;
    };
    const warn = (_: string, fields: LogFields = {}): void => void warned.push(fields["code"]);
    const over = { bus: Object.create(slow, { log: { value: log } }) as Bus, log: { ...silent, warn } };
    const { controller } = await startTestController(world, "c2", over);
    controllers.push(controller);
    await stands.opened;
    async function* parts(): AsyncGenerator<SavedRecord> {
      marked.open();
      await until("its election is in", async () => (await bus.log(stream).get(1)) !== null);
      yield* saved;
    }
    await expect(restore(parts())).rejects.toMatchObject({
      code: "CONTROLLER_RUNS",
      message: expect.stringMatching(/behind sequence 0: delete it before the backup is restored again/) as string,
    });
    await until("it looked again", () => warned.includes("LOG_RESTORING"));
    expect(controller.leads).toBe(false);
    expect(await codeOf(start("c3"))).toBe("LOG_RESTORING");
    const { state } = await apiCall<StreamInfo>(bus, `STREAM.INFO.${stream}`, undefined);
    expect(state.last_seq).toBe(1);
    expect(await codeOf(restore(whole()))).toBe("LOG_RESTORING");

    await controller.stop();
    await anew();
    const { logId } = await restore(whole());
    await start("c4");
    expect(await client.leader()).toBe("c4");
    expect((await client.status())["logId"]).toBe(logId);
  });
});
