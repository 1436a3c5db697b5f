// A controller's parts over a log that fails as told, before it stands for election.
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import type { BucketEntry, Bus, LogStore } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import { Ledger } from "../../services/controller/ledger.ts";
import type { Context } from "../../services/controller/ports.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { ScriptedLog } from "./scripted-log.ts";
import { noSnapshotter } from "./snapshots.ts";

/** Timers fire at once and move the time. */
function hastyClock(): Clock {
  let now = 0;
  const after = (ms: number, fn: () => void): (() => void) => {
    now += ms;
    queueMicrotask(fn);
    return () => {};
  };
  return { wall: () => 1000 + now, mono: () => now, after, every: () => () => {} };
}

/** What the bus has besides the log. */
export interface ScriptedBus {
  /** What each bucket is told to hold. */
  load: () => Promise<Map<string, BucketEntry>>;
  /** How many times the connection was lost. */
  breaks: number;
}

export interface Candidate {
  readonly log: ScriptedLog;
  readonly bus: ScriptedBus;
  readonly context: Context;
  readonly ledger: Ledger;
}

export function candidate(): Candidate {
  const log = new ScriptedLog();
  const bus: ScriptedBus = { load: async () => new Map(), breaks: 0 };
  const logs = (stream: string): LogStore => (stream === subjectsOf("test").stream ? log : new ScriptedLog());
  let id = 0;
  const context: Context = {
    clock: hastyClock(),
    ids: { next: () => `id${++id}` },
    random: { next: () => 0 },
    bus: { log: logs, bucket: () => ({ load: () => bus.load() }), breaks: () => bus.breaks } as unknown as Bus,
    log: silent,
    cluster: "test",
    id: "c1",
    subjects: subjectsOf("test"),
    counters: noCounts(),
    measures: noMeasures(),
    packing: systemPacking,
    snapshotter: noSnapshotter,
    policy: snapshotPolicy,
  };
  return { log, bus, context, ledger: new Ledger(() => context.counters.foreign++) };
}

/** An election of another controller, as it would follow on the log now. */
export function rival({ log, ledger }: Candidate): Event {
  const { logId, lastEventId } = ledger.state;
  const items: EventItem[] = [{ kind: "leader", verb: "elected", name: "c2" }];
  return {
    schema: 1,
    logId,
    epoch: log.records.length + 1,
    id: "rival",
    prev: lastEventId,
    time: 1,
    cause: "election",
    items,
  };
}
