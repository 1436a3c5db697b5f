// When a part leaves its server because no leader is heard by way of it, and to which it goes.
import type { Server } from "nats";
import { beforeEach, describe, expect, it } from "vitest";
import { listenOf, ServerChoice } from "../../services/bus/choice.ts";
import { watchLeader } from "../../services/bus/leaderless.ts";
import type { LeaderWatch } from "../../services/bus/leaderless.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusState, SubscribeOptions } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { ManualClock } from "../support/agent.ts";

describe("a part", () => {
  let clock: ManualClock;
  let left: number[];
  let beat: () => void;
  let refuse: () => void;
  let enter: (state: BusState) => void;
  let state: BusState;

  const watching = (mayLeave?: () => boolean, hasOthers = true): LeaderWatch => {
    const bus = {
      hasOthers,
      state: () => state,
      elsewhere: () => left.push(clock.mono()),
      subscribe: (subject: string, handler: () => void, { onRefused }: SubscribeOptions) => {
        expect(subject).toBe(subjectsOf("test").leader);
        [beat, refuse] = [handler, onRefused ?? refuse];
      },
      onState: (fn: (state: BusState) => void) => (enter = fn),
    };
    return watchLeader(bus as unknown as Bus, { clock, random: { next: () => 0.5 } }, "test", mayLeave);
  };

  beforeEach(() => {
    clock = new ManualClock();
    [left, state, refuse] = [[], "connected", () => expect.fail("nobody asks")];
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

  it("stays where it may not leave, may not hear the leader, or has no other server", async () => {
    let mayLeave = false;
    watching(() => mayLeave);
    await clock.advance(60_000);
    expect(left).toEqual([]);
    mayLeave = true;
    refuse();
    await clock.advance(60_000);
    expect(left).toEqual([]);
    // The next server may allow it.
    enter("connected");
    await clock.advance(60_000);
    expect(left).not.toEqual([]);
    enter("closed");
    watching(undefined, false);
    expect(clock.pending).toBe(0);
  });

  it("hears nobody by way of a connection that it just got", async () => {
    const watch = watching();
    beat();
    expect(watch.isHeard()).toBe(true);
    enter("disconnected");
    enter("connected");
    expect(watch.isHeard()).toBe(false);
    beat();
    expect(watch.isHeard()).toBe(true);
  });

  it("leaves in time also soon after it has left, where a leader was heard meanwhile", async () => {
    watching();
    await clock.advance(12_000);
    beat();
    await clock.advance(limits.lostAfterMs - 2000);
    expect(left).toHaveLength(2);
  });
});

describe("the server that is tried next", () => {
  const server = (listen: string): Server => ({ listen }) as Server;
  const tries = (choice: ServerChoice, pool: readonly Server[], count: number): string[] =>
    Array.from({ length: count }, (_, index) => {
      // The client tells its pool from another beginning each time.
      const at = index % pool.length;
      return choice.next([...pool.slice(at), ...pool.slice(0, at)])?.listen ?? "";
    });

  let now = 0;
  const choosing = (): ServerChoice => {
    const choice = new ServerChoice({ mono: () => now }, { next: () => 0.5 }, ["current", "given"]);
    choice.connected("current");
    now += 10_000;
    return choice;
  };

  it("is the same again, where the connection just broke, then those that were given, then those that servers told of", () => {
    const choice = choosing();
    const pool = [server("told"), server("given"), server("current")];
    expect(tries(choice, pool, 6)).toEqual(["current", "given", "told", "current", "given", "told"]);
  });

  it("is any other, where it was given up", () => {
    const choice = choosing();
    const pool = [server("current"), server("told"), server("given")];
    choice.blame(true);
    expect(tries(choice, pool, 4)).toEqual(["given", "told", "current", "given"]);
    choice.connected("given");
    now += 10_000;
    expect(tries(choice, pool, 1)).toEqual(["given"]);
    // One that keeps no connection is to blame as well.
    choice.connected("given");
    now += 9000;
    expect(tries(choice, pool, 3)).toEqual(["current", "told", "given"]);
  });

  it("is the only one, where there is no other", () => {
    const choice = choosing();
    choice.blame(true);
    expect(tries(choice, [server("current")], 2)).toEqual(["current", "current"]);
    expect(choice.next([])).toBeNull();
  });

  it("is tried again after half a second, by the monotonic clock", () => {
    const choice = choosing();
    expect(choice.wait()).toBe(-Infinity);
    choice.next([server("current")]);
    now += 499;
    expect(choice.wait()).toBe(500);
    now += 1;
    expect(choice.wait()).toBe(-Infinity);
  });
});

describe("an address", () => {
  it.each([
    ["nats://10.0.0.1:4223", "10.0.0.1:4223"],
    ["tls://Bus.example.org", "bus.example.org:4222"],
    ["10.0.0.1", "10.0.0.1:4222"],
    ["nats://[::1]:4222", "[::1]:4222"],
  ])("%s is told as the client does", (address, listen) => {
    expect(listenOf(address)).toBe(listen);
  });
});
