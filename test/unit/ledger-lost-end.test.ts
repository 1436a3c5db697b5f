// What is read of a log, and cut of it, while a power cut takes the end of it or of the snapshots.
import { expect, it } from "vitest";
import type { Event } from "../../schemas/generated/types.ts";
import type { Bus } from "../../services/bus/port.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { Ledger } from "../../services/controller/ledger.ts";
import type { Context } from "../../services/controller/ports.ts";
import { encodeEvent } from "../../services/controller/record.ts";
import { SnapshotKeeper } from "../../services/controller/snapshot/keeper.ts";
import { openLedger } from "../../services/controller/snapshot/open.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import type { SnapshotOrder } from "../../services/controller/snapshot/port.ts";
import { checkSnapshots, makeSnapshot } from "../../services/controller/snapshot/work.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { ScriptedLog } from "../support/scripted-log.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";

/** Long enough for all that was written before to be synced. */
const syncedMs = 250_000;

/** An election at that sequence, one of a chain; `of` tells two chains apart, `before` is the one it goes on from. */
const elected = (at: number, of = "old", before = of): Event => ({
  schema: 1,
  logId: "l",
  epoch: at,
  id: `${of}${at}`,
  prev: at === 1 ? "" : `${before}${at - 1}`,
  time: at,
  cause: "election",
  items: [
    ...(at === 1 ? [{ kind: "cluster" as const, verb: "created" as const, name: "u" }] : []),
    { kind: "leader", verb: "elected", name: "c" },
  ],
});

async function append(world: SimWorld, bus: Bus, event: Event): Promise<void> {
  const options = { expectedSequence: event.epoch - 1, messageId: event.id, timeoutMs: 2000 };
  await world.time.until(bus.log(names.stream).append(names.eventBatch, encodeEvent(event), options));
}

it("a ledger does not take for folded what was lost while it read, and grew again behind it", async () => {
  const world = await SimWorld.open({ synced: false });
  const [{ bus }, { bus: writer }] = [await world.client(), await world.client()];
  for (let at = 1; at <= 20; at += 1) await append(world, writer, elected(at));
  await world.time.pass(syncedMs);
  for (let at = 21; at <= 40; at += 1) await append(world, writer, elected(at));
  const log = bus.log(names.stream);
  let cut = false;
  const read: typeof log.read = (from, onRecord, upTo) =>
    log.read(
      from,
      (record) => {
        onRecord(record);
        if (record.sequence !== 30 || cut) return;
        cut = true;
        world.server.powerCut();
        world.server.start();
      },
      upTo,
    );
  const ledger = new Ledger(() => {});
  const caughtUp = ledger.catchUp(Object.assign(Object.create(log) as typeof log, { read })).then(
    () => "caught up",
    (error: { code: string }) => error.code,
  );
  await world.time.pass(20);
  await append(world, writer, elected(21, "new", "old"));
  for (let at = 22; at <= 40; at += 1) await append(world, writer, elected(at, "new"));
  expect(await world.time.until(caughtUp)).toBe("LOG_UNKNOWN");
});

it.each([
  ["is shorter when it was read", false],
  ["has another end by then", true],
])("a ledger notices that the log, whose end was told before it was lost, %s", async (_, isOther) => {
  const log = new ScriptedLog();
  const write = (event: Event): number => log.records.push(encodeEvent(event));
  write(elected(1));
  const ledger = new Ledger(() => {});
  await ledger.catchUp(log);
  write(elected(2));
  const read = log.read.bind(log);
  let reads = 0;
  log.read = async (from, onRecord, upTo) => {
    if ((reads += 1) === 1) log.records.length = 1;
    await read(from, onRecord, upTo);
    if (reads === 1 && isOther) write(elected(2, "new", "old"));
  };
  await expect(ledger.catchUp(log)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
  expect(ledger.state.sequence).toBe(1);
});

it("a ledger notices that the log lost its end, and has grown again to the same length, before it is told where it ends", async () => {
  const log = new ScriptedLog();
  for (const at of [1, 2]) log.records.push(encodeEvent(elected(at)));
  const ledger = new Ledger(() => {});
  await ledger.catchUp(log);
  const tail = log.tail.bind(log);
  log.tail = () => {
    log.records.splice(1, 1, encodeEvent(elected(2, "new", "old")));
    return tail();
  };
  await expect(ledger.catchUp(log)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
});

it("a ledger notices that records were cut away while it read them", async () => {
  const log = new ScriptedLog();
  log.records.push(encodeEvent(elected(1)));
  const tail = log.tail.bind(log);
  let asked = 0;
  // The cut comes between the look at the tail and the reading.
  log.tail = async () => ({ ...(await tail()), first: (asked += 1) > 1 ? 2 : 1 });
  await expect(new Ledger(() => {}).catchUp(log)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
});

/** A log whose 85 events are on disk, and a keeper that has folded 60 of them and made a snapshot. */
async function begun(mayCut: () => boolean, laterMs = 0) {
  const world = await SimWorld.open({ synced: false });
  const { bus, clock } = await world.client();
  for (let at = 1; at <= 85; at += 1) await append(world, bus, elected(at));
  await world.time.pass(syncedMs + laterMs);
  const ledger = new Ledger(() => {});
  const fold = (to: number): void => {
    for (let at = ledger.state.sequence + 1; at <= to; at += 1) ledger.fold(at, encodeEvent(elected(at)));
  };
  const ports = { bus, cluster: "test", subjects: names, clock, ids: systemIds, packing: systemPacking };
  const snapshotter = {
    check: () => checkSnapshots(ports),
    make: (order: SnapshotOrder) => makeSnapshot(ports, order),
  };
  const policy = { ...snapshotPolicy, events: 20, kept: 10 };
  const parts = { bus, clock, snapshotter, policy, counters: noCounts(), log: silent, subjects: names };
  const keeper = new SnapshotKeeper(parts as unknown as Context, ledger.state, mayCut);
  fold(60);
  keeper.start();
  await world.time.pass(5000);
  const opened = async (): Promise<number> => {
    const { ledger: found } = await openLedger(ports, { onForeign: () => {}, onProblem: () => {} });
    return found.state.sequence;
  };
  const first = async (): Promise<number> => (await world.time.until(bus.log(names.stream).tail())).first;
  return { world, bus, keeper, fold, first, opened: () => world.time.until(opened()) };
}

/** A keeper with two good snapshots, the newer of which the server has not on disk. It waits to be allowed to cut. */
async function keeping() {
  let mayCut = false;
  const { fold, ...parts } = await begun(() => mayCut);
  const { world, keeper } = parts;
  await world.time.pass(syncedMs);
  fold(85);
  keeper.onCommitted(1);
  await world.time.pass(1000);
  expect(keeper.status().verified.map(({ sequence }) => sequence)).toEqual([85, 60]);
  const allow = (): void => {
    mayCut = true;
    keeper.onCommitted(1);
  };
  return { ...parts, allow };
}

it.each([
  ["with its connection", false],
  ["on the two servers it has no connection to", true],
])("a log is not cut on the strength of snapshots that were lost, %s", async (_, areOthers) => {
  const { world, bus, keeper, allow, opened } = await keeping();
  if (areOthers) world.server.othersPowerCut();
  else world.server.powerCut();
  world.server.start();
  await world.time.pass(5000);
  expect(await world.last(bus)).toBe(85);
  allow();
  await world.time.pass(5000);
  keeper.stop();
  expect(await opened()).toBe(85);
});

it.each([
  ["goes on", 60],
  ["ends", 1],
])("a log is cut only by a term that %s while its keeper looks for the snapshots", async (how, first) => {
  const { world, keeper, allow, first: begin } = await keeping();
  allow();
  if (how === "ends") keeper.stop();
  await world.time.pass(5000);
  expect(await begin()).toBe(first);
  keeper.stop();
});

it.each([
  ["within moments", 0, [60]],
  ["after a while", 140_000, [85, 60]],
])("a log is not lost with the snapshots it was cut for, where two become due %s", async (_, ms, made) => {
  // Each stream is synced by a timer of its own: the log before or after the snapshots.
  const waits = [0, 30_000, 60_000, 90_000];
  for (const [laterMs, waitedMs] of waits.flatMap((one) => waits.map((other) => [one, other] as const))) {
    const { world, keeper, fold, opened } = await begun(() => true, laterMs);
    await world.time.pass(ms);
    fold(85);
    keeper.onCommitted(1);
    await world.time.pass(1000);
    expect(keeper.status().verified.map(({ sequence }) => sequence)).toEqual(made);
    await world.time.pass(waitedMs);
    keeper.stop();
    world.server.powerCut();
    world.server.start();
    await world.time.pass(5000);
    expect(await opened()).toBe(85);
  }
});

it("a snapshot is made soon after another where the log would fill up", async () => {
  const { world, keeper, fold } = await begun(() => true);
  fold(85);
  keeper.onCommitted(2 * snapshotPolicy.bytes);
  await world.time.pass(1000);
  expect(keeper.status().verified.map(({ sequence }) => sequence)).toEqual([85, 60]);
  keeper.stop();
});
