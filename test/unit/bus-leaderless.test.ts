// When a part leaves its server because no leader is heard by way of it, and to which it goes.
import type { Server } from "nats";
import { beforeEach, describe, expect, it } from "vitest";
import { ServerChoice } from "../../services/bus/choice.ts";
import { watchLeader } from "../../services/bus/leaderless.ts";
import type { LeaderWatch } from "../../services/bus/leaderless.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusState } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { ManualClock } from "../support/agent.ts";

describe("a part", () => {
  let clock: ManualClock;
  let left: number[];
  let beat: () => void;
  let enter: (state: BusState) => void;
  let state: BusState;

  const watching = (mayLeave?: (watch: LeaderWatch) => boolean, hasOthers = true): LeaderWatch => {
    const bus = {
      hasOthers,
      state: () => state,
      elsewhere: () => left.push(clock.mono()),
      subscribe: (subject: string, handler: () => void) => {
        expect(subject).toBe(subjectsOf("test").leader);
        beat = handler;
      },
      onState: (fn: (state: BusState) => void) => (enter = fn),
    };
    return watchLeader(bus as unknown as Bus, { clock, random: { next: () => 0.5 } }, "test", mayLeave);
  };

  beforeEach(() => {
    clock = new ManualClock();
    [left, state] = [[], "connected"];
  });

  it("stays while beats come, and leaves in time for its node not to be given up", async () => {
    const watch = watching();
    for (let count = 0; count < 10; count += 1) {
      await clock.advance(limits.leaderlessMs);
      beat();
    }
    expect(watch.isHeard()).toBe(true);
    const silentAt = clock.mono();
    await clock.advance(limits.lostAfterMs - 2000);
    expect(watch.isHeard()).toBe(false);
    expect(left).toHaveLength(1);
    expect((left[0] ?? 0) - silentAt).toBeGreaterThan(limits.leaderlessMs);
  });

  it("leaves more and more seldom while nobody leads, and as soon as before once somebody did", async () => {
    watching();
    await clock.advance(4 * 3_600_000);
    const gaps = left.slice(1).map((at, index) => Math.round((at - (left[index] ?? 0)) / 1000));
    expect(gaps.slice(0, 7)).toEqual([30, 60, 120, 240, 480, 600, 600]);
    beat();
    const before = left.length;
    await clock.advance(600_000);
    left.splice(0, before);
    expect((left[1] ?? 0) - (left[0] ?? 0)).toBe(30_000);
  });

  it("does not take a time without any server for silence", async () => {
    watching();
    await clock.advance(limits.leaderlessMs - 1000);
    state = "disconnected";
    enter(state);
    await clock.advance(60_000);
    state = "connected";
    enter(state);
    await clock.advance(limits.leaderlessMs - 1000);
    expect(left).toEqual([]);
  });

  it("stays where it may not leave, and where there is no other server", async () => {
    watching((watch) => watch.wasHeard());
    await clock.advance(60_000);
    expect(left).toEqual([]);
    beat();
    await clock.advance(60_000);
    expect(left).not.toEqual([]);
    left = [];
    enter("closed");
    watching(undefined, false);
    expect(clock.pending).toBe(0);
  });
});

describe("the server that is tried next", () => {
  const server = (listen: string, gossiped = false): Server => ({ listen, gossiped }) as Server;
  const tries = (choice: ServerChoice, pool: readonly Server[], count: number): string[] =>
    Array.from({ length: count }, (_, index) => {
      // The client tells its pool from another beginning each time.
      const at = index % pool.length;
      return choice.next([...pool.slice(at), ...pool.slice(0, at)])?.listen ?? "";
    });

  it("is the same again, where the connection just broke, then those that were given, then those that servers told of", () => {
    const choice = new ServerChoice();
    const pool = [server("told", true), server("given"), server("current")];
    choice.connected("current");
    expect(tries(choice, pool, 6)).toEqual(["current", "given", "told", "current", "given", "told"]);
  });

  it("is any other, where it was given up", () => {
    const choice = new ServerChoice();
    const pool = [server("current"), server("told", true), server("given")];
    choice.connected("current");
    choice.blame(true);
    expect(tries(choice, pool, 4)).toEqual(["given", "told", "current", "given"]);
    choice.connected("given");
    expect(tries(choice, pool, 1)).toEqual(["given"]);
  });

  it("is the only one, where there is no other", () => {
    const choice = new ServerChoice();
    choice.connected("current");
    choice.blame(true);
    expect(tries(choice, [server("current")], 2)).toEqual(["current", "current"]);
    expect(choice.next([])).toBeNull();
  });
});
