// When a part leaves its server because no leader is heard, or answers, by way of it.
import { beforeEach, describe, expect, it } from "vitest";
import { Syncer } from "../../services/agent/syncer.ts";
import { leaveLeaderless } from "../../services/bus/leaderless.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusState } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock } from "../support/agent.ts";

let clock: ManualClock;
let left: number;

beforeEach(() => {
  clock = new ManualClock();
  left = 0;
});

describe("a part that may hear the leader", () => {
  let beat: () => void;
  let enter: (state: BusState) => void;

  beforeEach(() => {
    const bus = {
      elsewhere: () => (left += 1),
      subscribe: (subject: string, handler: () => void) => {
        expect(subject).toBe(subjectsOf("test").leader);
        beat = handler;
      },
      onState: (fn: (state: BusState) => void) => (enter = fn),
    };
    leaveLeaderless(bus as unknown as Bus, clock, "test");
  });

  it("stays while beats come, and leaves after a silence in which a log would have found a leader", async () => {
    for (let count = 0; count < 10; count += 1) {
      await clock.advance(limits.leaderlessMs - 5000);
      beat();
    }
    await clock.advance(limits.leaderlessMs - 100);
    expect(left).toBe(0);
    await clock.advance(5000);
    expect(left).toBeGreaterThan(0);
  });

  it("does not take a time without any server for silence", async () => {
    await clock.advance(limits.leaderlessMs - 5000);
    enter("disconnected");
    await clock.advance(5000);
    enter("connected");
    await clock.advance(limits.leaderlessMs - 5000);
    expect(left).toBe(0);
  });

  it("leaves no timer behind", () => {
    enter("closed");
    expect(clock.pending).toBe(0);
  });
});

describe("an agent", () => {
  const asking = (code: Code): Syncer => {
    const syncer = new Syncer({
      clock,
      random: { next: () => 0.5 },
      log: silent,
      subject: "sync",
      held: () => ({ logId: "log", generation: 1 }),
      onWhole: async () => {},
      onForeign: () => {},
      onLeaderless: () => (left += 1),
    });
    const request = async (): Promise<never> => {
      throw new SwainError(code, "as told");
    };
    syncer.attach({ request } as unknown as Bus);
    return syncer;
  };

  it.each(["TIMEOUT", "NO_LEADER"] as const)("leaves after as long without an answer (%s)", async (code) => {
    const syncer = asking(code);
    await clock.advance(limits.leaderlessMs - 100);
    expect(left).toBe(0);
    await clock.advance(6000);
    expect(left).toBeGreaterThan(0);
    syncer.close();
  });

  it.each(["NOT_FOUND", "LOG_UNKNOWN"] as const)("stays where a leader answers, though with %s", async (code) => {
    const syncer = asking(code);
    await clock.advance(3 * limits.leaderlessMs);
    expect(left).toBe(0);
    syncer.close();
  });
});
