// A standby whose log lost its end and grew again: a follower over the simulated bus.
import { beforeEach, describe, expect, it } from "vitest";
import type { Event } from "../../schemas/generated/types.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Follower } from "../../services/controller/follower.ts";
import { Ledger } from "../../services/controller/ledger.ts";
import { encodeEvent } from "../../services/controller/record.ts";
import { silent } from "../../services/kernel/log.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import type { Client } from "../support/sim-bus-world.ts";

/** Long enough for all that was written before to be synced. */
const syncedMs = 250_000;
/** Within this a standby that nothing disturbs finds out. */
const noticedMs = 20_000;

let world: SimWorld;
let standby: Client;
let writer: Client;
let ledger: Ledger;

/** An election at that sequence; `of` tells two chains apart, `before` is the one it goes on from. */
const elected = (at: number, of: string, before = of): Event => ({
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

async function append(event: Event): Promise<void> {
  const options = { expectedSequence: event.epoch - 1, messageId: event.id, timeoutMs: 2000 };
  await world.time.until(writer.bus.log(names.stream).append(names.eventBatch, encodeEvent(event), options));
}

/** A log of 20 events, of which the last ten are not on disk yet. */
async function begin(): Promise<void> {
  world = await SimWorld.open({ synced: false });
  writer = await world.client();
  standby = await world.client();
  for (let at = 1; at <= 10; at += 1) await append(elected(at, "old"));
  await world.time.pass(syncedMs);
  for (let at = 11; at <= 20; at += 1) await append(elected(at, "old"));
  ledger = new Ledger(() => {});
}

/** Another leader writes on where the log ends now, up to there. */
async function regrow(to: number): Promise<void> {
  const from = (await world.last(writer.bus)) + 1;
  expect(from).toBeLessThanOrEqual(20);
  await append(elected(from, "new", "old"));
  for (let at = from + 1; at <= to; at += 1) await append(elected(at, "new"));
}

/** Begins to follow; gives what it is blocked by. */
function follow(): () => string | undefined {
  const { bus, clock } = standby;
  const context = { bus, clock, subjects: names, log: silent } as unknown as Context;
  const follower = new Follower(context, ledger, { onElected: () => {}, onBlocked: () => {} });
  follower.start();
  return () => follower.blocked?.code;
}

it.each([20, 30])("is noticed by one that was away while it came to %i again", async (to) => {
  await begin();
  const blocked = follow();
  await world.time.pass(15_000);
  expect([ledger.state.lastEventId, blocked()]).toEqual(["old20", undefined]);
  standby.link.up = standby.link.down = false;
  standby.link.reset();
  world.server.powerCut();
  world.server.start();
  await world.time.pass(2000);
  await regrow(to);
  standby.link.up = standby.link.down = true;
  await world.time.pass(noticedMs);
  expect(standby.bus.state()).toBe("connected");
  expect(blocked()).toBe("LOG_UNKNOWN");
});

it.each([20, 30])("is noticed by one that follows from a state of before, where it came to %i again", async (to) => {
  await begin();
  await world.time.until(ledger.catchUp(standby.bus.log(names.stream)));
  world.server.powerCut();
  world.server.start();
  await world.time.pass(2000);
  await regrow(to);
  const blocked = follow();
  await world.time.pass(noticedMs);
  expect(blocked()).toBe("LOG_UNKNOWN");
});

describe("nothing is taken for lost", () => {
  beforeEach(begin);

  it.each(["deleted", "cut away"])("where the last event was %s", async (how) => {
    const blocked = follow();
    await world.time.pass(15_000);
    if (how === "deleted") world.server.meddler.removeRecord(20);
    else await world.time.until(writer.bus.log(names.stream).cut(20));
    await world.time.pass(noticedMs);
    await append(elected(21, "old"));
    await world.time.pass(noticedMs);
    expect([ledger.state.lastEventId, blocked()]).toEqual(["old21", undefined]);
  });

  it("where the log grows, also by what no leader wrote, and the server is away now and then", async () => {
    const blocked = follow();
    for (let at = 21; at <= 40; at += 1) {
      await append(elected(at, "old"));
      if (at % 5 === 0) world.server.kill();
      world.server.start();
      await world.time.pass(3000);
    }
    await world.time.until(world.append(writer.bus, 40));
    await world.time.pass(noticedMs);
    expect([ledger.state.sequence, ledger.state.lastEventId, blocked()]).toEqual([41, "old40", undefined]);
  });
});
