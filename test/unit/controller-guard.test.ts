// When a leader doubts that it leads, against a bus that answers as told.
import { beforeEach, describe, expect, it } from "vitest";
import type { BusState } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { noCounts } from "../../services/controller/counters.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Guard } from "../../services/controller/term/guard.ts";
import type { GuardEvents } from "../../services/controller/term/guard.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Logger } from "../../services/kernel/log.ts";
import { ManualClock, settle } from "../support/agent.ts";

describe("the guard", () => {
  let excused: number[];
  let said: string[];
  let guard: Guard;
  let replicated: boolean;
  let clock: ManualClock;
  let context: Context;
  let enter: (state: BusState) => void;
  let askTail: () => Promise<object>;
  /** What the server does with a question: it answers at once, later when told, or not in time. */
  let flush: () => Promise<void>;
  const events: GuardEvents = {
    onExcuse: (ms) => excused.push(ms),
    onSuspect: () => {},
    isReplicated: () => replicated,
  };

  beforeEach(() => {
    [excused, said, replicated] = [[], [], false];
    flush = () => Promise.resolve();
    clock = new ManualClock();
    const bus = {
      state: () => "connected",
      onState: (fn: (state: BusState) => void) => {
        enter = fn;
        return () => {};
      },
      log: () => ({ tail: () => askTail() }),
      flush: () => flush(),
    };
    const log: Logger = {
      ...silent,
      info: (message) => said.push(message),
      warn: (message, fields) => said.push(`${message} ${String(fields?.["code"])}`),
    };
    const parts = { clock, bus, log, counters: noCounts(), subjects: subjectsOf("test") };
    context = parts as unknown as Context;
    guard = new Guard(context, events);
    guard.start();
  });

  it("holds answers back after a stall until the tail was verified", async () => {
    await clock.advance(5000);
    expect(guard.look()).toBe(true);
    // Without its timer it is as if nothing had run for three seconds.
    guard.stop();
    guard = new Guard(context, events);
    await clock.advance(3000);
    expect(guard.look()).toBe(false);
    expect(excused).toEqual([2750]);
    let trusted: boolean | undefined;
    void guard.trusted().then((answer) => {
      trusted = answer;
    });
    await settle();
    expect(trusted).toBeUndefined();
    guard.clear();
    await settle();
    expect(trusted).toBe(true);
  });

  it("takes the time of a lost connection off once, and doubts itself after it", async () => {
    enter("disconnected");
    await clock.advance(7000);
    expect(guard.isSuspect).toBe(false);
    enter("connected");
    expect(guard.isSuspect).toBe(true);
    expect(excused).toEqual([7000]);
  });

  it("takes the time off in which the server did not answer, however that ends, and doubts itself after it", async () => {
    const late = (): Promise<void> => Promise.reject(new SwainError("TIMEOUT", "late"));
    flush = late;
    await clock.advance(750);
    expect(guard.isDeaf).toBe(false);
    await clock.advance(5250);
    expect([guard.isDeaf, guard.isSuspect, excused]).toEqual([true, false, []]);
    flush = () => Promise.resolve();
    await clock.advance(250);
    expect([guard.isDeaf, guard.isSuspect, excused]).toEqual([false, true, [6000]]);
    guard.clear();
    // The same, and the connection breaks on top: nothing is taken off twice.
    flush = late;
    await clock.advance(4000);
    enter("disconnected");
    await clock.advance(1000);
    enter("connected");
    expect(excused).toEqual([6000, 4750]);
    flush = () => Promise.resolve();
    await clock.advance(250);
    expect(excused.reduce((sum, ms) => sum + ms, 0)).toBe(6000 + 5000);
    expect(guard.sinceExcuse()).toBe(0);
  });

  it("says once that the server has not answered in time for long, and that it does again", async () => {
    flush = () => Promise.reject(new SwainError("TIMEOUT", "late"));
    await clock.advance(10_000);
    expect([guard.deafMs, said]).toEqual([10_000, []]);
    await clock.advance(20_000);
    expect(said).toEqual(["nobody is given up for silence SERVER_SLOW"]);
    flush = () => Promise.resolve();
    await clock.advance(500);
    expect([guard.deafMs, said.slice(1)]).toEqual([0, ["the server answers in time again"]]);
  });

  it("takes no answers for missing that are slow, and come", async () => {
    flush = () => new Promise((resolve) => clock.after(900, resolve));
    // At first none came for longer than a second.
    await clock.advance(5000);
    guard.clear();
    excused = [];
    await clock.advance(60_000);
    expect([guard.isDeaf, guard.isSuspect, excused]).toEqual([false, false, []]);
  });

  it("doubts itself once a log of several servers has had no leader for longer than one is elected in", async () => {
    let asked = 0;
    let isLed = false;
    const tail = async (): Promise<object> => {
      asked += 1;
      if (!isLed) throw new SwainError("JETSTREAM_ERROR", "the stream has no leader");
      return {};
    };
    askTail = tail;
    await clock.advance(60_000);
    expect(asked).toBe(0);
    replicated = true;
    isLed = true;
    await clock.advance(5000);
    isLed = false;
    await clock.advance(15_000);
    expect(guard.isSuspect).toBe(false);
    isLed = true;
    await clock.advance(5000);
    isLed = false;
    await clock.advance(15_000);
    expect(guard.isSuspect).toBe(false);
    await clock.advance(5000);
    expect(guard.isSuspect).toBe(true);
  });

  it("tells those who wait that the term ended", async () => {
    guard.suspect();
    const answer = guard.trusted();
    guard.stop();
    expect(await answer).toBe(false);
  });
});
