// Which answers of leaders are a lease, and how long it counts.
import { beforeEach, describe, expect, it } from "vitest";
import type { LeaseReply } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import { Leaser } from "../../services/agent/leaser.ts";
import { fenceOf } from "../../services/agent/pod/fence.ts";
import { freshRecord } from "../../services/agent/pod/record.ts";
import type { Bus } from "../../services/bus/port.ts";
import { fencing } from "../../services/core/fence.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock, podNamed, settle } from "../support/agent.ts";

const leaseMs = 10_000;
const key = "default/db-1";

describe("the lease of a node", () => {
  let clock: ManualClock;
  let leaser: Leaser;
  let asked: ((reply: unknown) => void)[];
  let needed: boolean;
  let events: string[];
  let told: { logId: string; epoch: number; generation: number };
  const reply = (more: Partial<LeaseReply> = {}): LeaseReply => ({ logId: "log", epoch: 3, generation: 7, ...more });

  beforeEach(() => {
    clock = new ManualClock();
    asked = [];
    needed = true;
    events = [];
    told = { logId: "log", epoch: 3, generation: 7 };
    leaser = new Leaser({
      clock,
      log: { ...silent, warn: (message) => events.push(message) },
      bootId: "boot",
      subject: "lease",
      told: () => told,
      newest: () => ({ epoch: 3, term: "" }),
      isNeeded: () => needed,
      onBehind: () => events.push("behind"),
      onLost: (epoch) => events.push(`lost ${epoch}`),
      onRegained: () => events.push("regained"),
      onTick: () => events.push("tick"),
    });
    const bus = {
      state: () => "connected",
      request: (_subject: string, _body: unknown, { timeoutMs }: { timeoutMs: number }) =>
        new Promise((resolve, reject) => {
          asked.push((value) => resolve({ json: () => value }));
          clock.after(timeoutMs, () => reject(new SwainError("TIMEOUT", "no answer")));
        }),
    };
    leaser.attach(bus as unknown as Bus);
  });

  it("counts from when the request went out, not from the answer", async () => {
    const sentAt = clock.mono();
    await clock.advance(3000);
    asked[0]?.(reply());
    await settle();
    expect(leaser.lease(key).grantedAt).toBe(sentAt);
    expect(events.filter((event) => event === "regained")).toHaveLength(1);
    asked[2]?.(reply());
    asked[1]?.(reply());
    await settle();
    expect(leaser.lease(key).grantedAt).toBe(sentAt + 2000);
  });

  it("counts nothing of another log, an earlier leader, or before what was decided since is known", async () => {
    asked[0]?.(reply({ generation: 8 }));
    await clock.advance(1000);
    asked[1]?.(reply({ epoch: 2 }));
    await clock.advance(1000);
    asked[2]?.(reply({ logId: "other" }));
    await clock.advance(1000);
    asked[3]?.({ error: { code: "NODE_UNHEARD", message: "not yet", action: "" } });
    await clock.advance(1000);
    expect(leaser.lease(key).grantedAt).toBeNull();
    expect(events.filter((event) => event !== "tick")).toEqual(["behind"]);
    told = { logId: "log", epoch: 3, generation: 8 };
    asked[4]?.(reply({ generation: 8 }));
    await settle();
    expect(leaser.lease(key).grantedAt).not.toBeNull();
  });

  it("is none from a leader that says that the log lost the one it followed, which it says of the newest alone", async () => {
    asked[0]?.(reply({ epoch: 2, lost: 3 }));
    await clock.advance(1000);
    asked[1]?.(reply({ epoch: 2, lost: 2 }));
    await settle();
    expect(leaser.lease(key).grantedAt).toBeNull();
    expect(events.filter((event) => event !== "tick")).toEqual(["lost 2"]);
  });

  it("is asked for without fenced pods where an earlier leader spoke, until a leader answers", async () => {
    needed = false;
    asked[0]?.(reply());
    await settle();
    await clock.advance(5000);
    expect(asked).toHaveLength(1);
    leaser.doubt();
    leaser.doubt();
    expect(asked).toHaveLength(2);
    await clock.advance(20_000);
    expect(asked.length).toBeGreaterThan(10);
    asked.at(-1)?.(reply());
    await settle();
    const { length } = asked;
    await clock.advance(5000);
    expect(asked).toHaveLength(length);
    expect(events).toEqual(["regained", "regained"]);
  });

  it("costs nothing without fenced pods, and has few requests under way when nobody answers", async () => {
    await clock.advance(60_000);
    const most = Math.ceil(60_000 / bounds.leaseMs) + 1;
    expect(asked.length).toBeLessThanOrEqual(most);
    needed = false;
    events = [];
    const before = asked.length;
    await clock.advance(60_000);
    expect([asked.length, events]).toEqual([before, []]);
    leaser.close();
    expect(clock.pending).toBe(0);
  });

  it("counts for no pod that is to stop, beyond what was granted before, and after the machine slept less", async () => {
    const answer = async (): Promise<void> => {
      asked.at(-1)?.(reply());
      await settle();
      await clock.advance(1000);
    };
    await answer();
    const { grantedAt } = leaser.lease(key);
    leaser.except(new Set([key]));
    await answer();
    leaser.except(new Set([key, "default/db-2"]));
    await answer();
    const granted = (...keys: string[]): unknown[] => keys.map((one) => leaser.lease(one).grantedAt);
    const start = grantedAt ?? 0;
    expect(granted(key, "default/db-2", "default/db-3")).toEqual([start, start + 1000, start + 2000]);
    clock.sleep(3_600_000);
    await clock.advance(1000);
    const sleptAt = clock.mono();
    await answer();
    expect(leaser.lease(key)).toMatchObject({ grantedAt: start, sleptAt });
    leaser.except(new Set());
    expect(leaser.lease(key)).toMatchObject({ grantedAt: sleptAt, sleptAt: null });
  });

  it("is worth a moment more after the machine slept, until something that was asked since is granted", async () => {
    asked[0]?.(reply());
    await settle();
    const { grantedAt } = leaser.lease(key);
    clock.sleep(3_600_000);
    await clock.advance(1000);
    expect(leaser.lease(key)).toMatchObject({ grantedAt, sleptAt: clock.mono() });
    const until = (): number | undefined =>
      fenceOf(podNamed("db-1", { fence: { leaseMs } }), freshRecord, leaser.lease(key))?.runUntil;
    const sleptUntil = clock.mono() + fencing.adoptMs;
    expect(until()).toBe(Math.min((grantedAt ?? 0) + leaseMs, sleptUntil));
    clock.sleep(3_600_000);
    await clock.advance(1000);
    expect(until()).toBeLessThanOrEqual(sleptUntil);
    asked[1]?.(reply());
    await settle();
    expect(leaser.lease(key).sleptAt).not.toBeNull();
    asked.at(-1)?.(reply());
    await settle();
    expect(leaser.lease(key)).toMatchObject({ grantedAt: clock.mono(), sleptAt: null });
  });
});
