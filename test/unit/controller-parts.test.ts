import { describe, expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { noCounts } from "../../services/controller/counters.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Dirty } from "../../services/controller/project/dirty.ts";
import { judge } from "../../services/controller/project/found.ts";
import { SnapshotKeeper } from "../../services/controller/snapshot/keeper.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import type { Snapshotter, SnapshotReport } from "../../services/controller/snapshot/port.ts";
import { firstEvent, toFitOneEvent } from "../../services/controller/term/batch.ts";
import { TermClock } from "../../services/controller/term/clock.ts";
import { LateEvents } from "../../services/controller/term/late.ts";
import type { Committed } from "../../services/controller/term/writer.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock, settle } from "../support/agent.ts";
import { TestCluster } from "../support/core.ts";
import { noSnapshotter } from "../support/snapshots.ts";

describe("a value found in KV", () => {
  const log = { logId: "l", sequence: 10, parents: ["k"] };
  const value = (sequence: number, more = ""): string => JSON.stringify({ logId: "l", sequence, more });
  it.each([
    ["same", value(5), value(5)],
    ["same", null, null],
    ["older", null, value(5)],
    ["older", value(4), value(5)],
    ["older", value(4), null],
    ["edited", value(5, "x"), value(5)],
    ["edited", value(6), value(5)],
    ["newer", value(11), value(5)],
    ["newer", value(11), null],
    ["edited", "{", value(5)],
    ["edited", "null", value(5)],
    ["edited", JSON.stringify({ logId: "other", sequence: 99 }), value(5)],
    ["edited", JSON.stringify({ logId: "k" }), value(5)],
    ["older", JSON.stringify({ logId: "k", sequence: 99 }), value(5)],
    ["older", JSON.stringify({ logId: "k", sequence: 5 }), null],
  ] as const)("is %s: %s where %s is wanted", (verdict, found, wanted) => {
    expect(judge(found, wanted, log)).toBe(verdict);
  });
});

describe("the set of dirty keys", () => {
  it("gives endpoints first, then by age, and holds a key back while it is written", () => {
    const dirty = new Dirty();
    dirty.mark("pods", "p", 1);
    dirty.mark("endpoints", "b", 2);
    dirty.mark("endpoints", "a", 3);
    dirty.mark("endpoints", "b", 4);
    const all = (): boolean => true;
    expect(dirty.take(all)).toEqual({ bucket: "endpoints", key: "b", since: 2 });
    dirty.mark("endpoints", "b", 5);
    expect(dirty.take(all)).toEqual({ bucket: "endpoints", key: "a", since: 3 });
    expect(dirty.oldestMs(11)).toBe(10);
    expect(dirty.take(all)).toEqual({ bucket: "pods", key: "p", since: 1 });
    expect(dirty.take(all)).toBeUndefined();
    expect(dirty.size).toBe(4);
    dirty.release({ bucket: "endpoints", key: "b", since: 2 });
    expect(dirty.take((bucket) => bucket !== "endpoints")).toBeUndefined();
    expect(dirty.take(all)).toEqual({ bucket: "endpoints", key: "b", since: 5 });
  });

  it("says how long a key has waited whose write keeps failing", () => {
    const dirty = new Dirty();
    dirty.mark("pods", "stuck", 10);
    const taken = dirty.take(() => true);
    dirty.mark("pods", "new", 50);
    if (taken === undefined) throw new Error("nothing was taken");
    dirty.release(taken);
    dirty.mark(taken.bucket, taken.key, taken.since);
    expect(dirty.oldestMs(100)).toBe(90);
  });

  it("names those that have waited since before a time, in the midst of their write as well", () => {
    const dirty = new Dirty();
    dirty.mark("endpoints", "a", 10);
    dirty.take(() => true);
    dirty.mark("endpoints", "b", 20);
    dirty.mark("endpoints", "c", 30);
    dirty.mark("pods", "p", 10);
    expect(dirty.olderThan("endpoints", 30)).toEqual(["b", "a"]);
    expect(dirty.olderThan("endpoints", 10)).toEqual([]);
  });
});

describe("events that come late", () => {
  it("are known with the time since they are in the log, the newest thousand", async () => {
    const clock = new ManualClock();
    const termClock = new TermClock(clock, { time: 0, foldedAt: clock.mono() });
    const late = new LateEvents(clock, termClock);
    const committed = (sequence: number, time: number): void =>
      late.onCommitted({ sequence, event: { time } as unknown as Committed["event"] });
    const begun = termClock.now();
    await clock.advance(5000);
    committed(7, begun + 4000);
    committed(8, begun + 3999);
    await clock.advance(300);
    expect([...late.agoMs()]).toEqual([[8, 300]]);
    for (let sequence = 9; sequence < 1009; sequence++) committed(sequence, begun);
    expect([...late.agoMs().keys()].slice(0, 1)).toEqual([9]);
    expect(late.agoMs().size).toBe(1000);
  });
});

describe("items of one event", () => {
  const item = (message: string): EventItem => ({
    kind: "pod",
    verb: "drained",
    namespace: "default",
    name: "web-1",
    reason: "DRAINED",
    message,
  });
  it("are cut by count and by bytes, and never to nothing", () => {
    expect(firstEvent(Array.from({ length: 1500 }, () => item("")))).toHaveLength(limits.eventItems);
    const large = item("x".repeat(limits.eventBytes / 3));
    expect(firstEvent([large, large, large])).toHaveLength(2);
    const huge = item("x".repeat(limits.eventBytes * 2));
    expect(firstEvent([huge, large])).toEqual([huge]);
    expect(firstEvent([item(""), item(""), large], 4096)).toHaveLength(2);
    expect(() => toFitOneEvent([huge])).toThrow("the change is too large for one event");
    expect(() => toFitOneEvent([large, large])).not.toThrow();
    expect(() => toFitOneEvent([])).not.toThrow();
  });
});

describe("the keeper of snapshots", () => {
  const begin = () => {
    const clock = new ManualClock();
    let end: (error: Error) => void = () => {};
    let done = (): void => {};
    let comeBack = (): void => {};
    let looks = 0;
    const check = (): Promise<SnapshotReport> => {
      looks += 1;
      return new Promise((resolve, reject) => {
        [done, end] = [() => resolve({ verified: [], problems: [] }), reject];
      });
    };
    const snapshotter: Snapshotter = { ...noSnapshotter, check };
    const log = { room: () => Promise.resolve({ used: 0, most: 0 }) };
    const onState = (fn: () => void): (() => void) => {
      comeBack = fn;
      return () => {};
    };
    const bus = { log: () => log, onState } as unknown as Bus;
    const parts = { clock, bus, snapshotter, policy: snapshotPolicy, counters: noCounts(), log: silent };
    const context = { ...parts, subjects: subjectsOf("test") } as unknown as Context;
    const keeper = new SnapshotKeeper(context, new TestCluster().state, () => true);
    keeper.start();
    const fail = (): void => end(new SwainError("SNAPSHOT_FAILED", "the thread ended before its work"));
    return { clock, keeper, looks: () => looks, comeBack: () => comeBack(), done: () => done(), fail };
  };

  it("looks again a while after work that failed", async () => {
    const { clock, fail } = begin();
    await settle();
    const before = clock.pending;
    fail();
    await settle();
    expect(clock.pending).toBe(before + 1);
  });

  it("looks again at once when the server came back while it looked", async () => {
    const { looks, comeBack, done } = begin();
    await settle();
    comeBack();
    done();
    await settle();
    expect(looks()).toBe(2);
    done();
    await settle();
    expect(looks()).toBe(2);
  });

  it("leaves no timer when it is stopped at work: the process would not end before it", async () => {
    const { clock, keeper, fail } = begin();
    await settle();
    keeper.stop();
    fail();
    await settle();
    expect(clock.pending).toBe(0);
  });
});
