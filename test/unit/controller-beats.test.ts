import { beforeEach, describe, expect, it } from "vitest";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { BeatWatch } from "../../services/controller/beats.ts";
import { noCounts } from "../../services/controller/counters.ts";
import type { Context } from "../../services/controller/ports.ts";
import { ManualClock } from "../support/agent.ts";

describe("a standby that has begun to stand", () => {
  let clock: ManualClock;
  let watch: BeatWatch;
  let hear: (message: BusMessage) => void;
  const beat = (more: object = {}): void =>
    hear({
      json: () => ({ leader: "c2", logId: "log", epoch: 7, sequence: 9, time: 0, ...more }),
    } as unknown as BusMessage);

  beforeEach(() => {
    clock = new ManualClock();
    const bus = {
      state: () => "connected",
      onState: () => () => {},
      subscribe: (_subject: string, handler: (message: BusMessage) => void) => {
        hear = handler;
        return () => {};
      },
    } as unknown as Bus;
    const random = { next: () => 0 };
    const context = { bus, clock, random, subjects: subjectsOf("test"), counters: noCounts() };
    watch = new BeatWatch(context as unknown as Context);
    watch.start();
  });

  it("knows whether a leader was heard since", async () => {
    expect(watch.heardSince(0)).toBe(false);
    beat();
    const since = clock.mono();
    expect(watch.heardSince(since)).toBe(false);
    await clock.advance(500);
    beat();
    expect(watch.heardSince(since)).toBe(true);
  });

  it("does not take a leader's farewell for a leader", async () => {
    const since = clock.mono();
    await clock.advance(500);
    beat({ resigned: true });
    expect(watch.heardSince(since)).toBe(false);
  });

  it("does not take a farewell that comes late for the next leader's", async () => {
    const since = clock.mono();
    await clock.advance(500);
    beat({ leader: "c3", epoch: 12 });
    beat({ resigned: true });
    expect(watch.heardSince(since)).toBe(true);
    beat({ leader: "c3", epoch: 12, resigned: true });
    expect(watch.heardSince(since)).toBe(false);
  });

  it("stands though its own loop stands still again and again", async () => {
    beat();
    let stands = false;
    void watch.silence(false, new AbortController().signal).then(() => {
      stands = true;
    });
    for (let stall = 0; stall < 5; stall++) {
      await clock.advance(1000);
      clock.jump(1200);
      await clock.advance(0);
    }
    expect(stands).toBe(true);
  });

  it("does not stand for beats that it could not read while it stood still", async () => {
    beat();
    let stands = false;
    void watch.silence(false, new AbortController().signal).then(() => {
      stands = true;
    });
    for (let stall = 0; stall < 5; stall++) {
      await clock.advance(1000);
      clock.jump(5000);
      await clock.advance(10);
      beat();
    }
    expect(stands).toBe(false);
  });
});
