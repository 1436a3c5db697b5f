// What `swain events -f` says when it was disconnected, and what it missed is not in the log any more.
import { expect, it } from "vitest";
import type { Feed } from "../../schemas/generated/types.ts";
import type { Client } from "../../cli/client.ts";
import { followEvents } from "../../cli/events.ts";
import type { BusState } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { settle } from "../support/agent.ts";

/** The second leader's events are those from 100 on, and those of a log that was restored since from 200 on. */
const feed = (sequence: number): Feed =>
  ({
    id: `${sequence < 200 ? "log" : "restored"}.${sequence < 100 ? 1 : 100}.${sequence}.0`,
    type: "pod.ready",
    subject: "pod/web-1",
    sequence,
    index: 0,
  }) as unknown as Feed;

interface Told {
  readonly shown: number[];
  gaps: number;
  readonly cuts: number[];
}

/**
 * Follows events of which the log holds those of `log.held`, and was cut up to `log.cut`; `reconnect` is called after a break. A list
 * tells what the log holds when it is asked for, after its further pages.
 */
async function following(log: { held: number[]; cut: number; further?: () => Promise<void> }, last: number) {
  const ending = new AbortController();
  let tell: (state: BusState) => void = () => {};
  let deliver: (event: Feed) => void = () => {};
  const client = {
    signal: ending.signal,
    subjects: subjectsOf("test"),
    bus: {
      subscribe: (_subject: string, handler: (message: { json(): unknown }) => void) => {
        deliver = (event) => handler({ json: () => event });
        return () => {};
      },
      onState: (handler: (state: BusState) => void) => {
        tell = handler;
        return () => {};
      },
    },
    events: async (_scope: string, limit: number, _name: string | undefined, onCut?: (sequence: number) => void) => {
      const { held, cut } = log;
      await log.further?.();
      if (held.length < limit && cut > 0) onCut?.(cut);
      return held.slice(-limit).map(feed);
    },
  } as unknown as Client;
  const told: Told = { shown: [], gaps: 0, cuts: [] };
  const followed = followEvents(
    client,
    { scope: "_", name: "web-1", last },
    {
      onEvents: (events) => told.shown.push(...events.map(({ sequence }) => sequence)),
      onGap: () => (told.gaps += 1),
      onCut: (sequence) => told.cuts.push(sequence),
    },
  );
  await settle();
  const reconnect = async (): Promise<void> => {
    tell("connected");
    await settle();
  };
  const end = async (): Promise<void> => {
    ending.abort();
    await followed.catch(() => {});
  };
  const hear = async (sequence: number): Promise<void> => {
    deliver(feed(sequence));
    await settle();
  };
  return { told, reconnect, hear, end };
}

it("says that events may be missing when the log was cut beyond the last one shown", async () => {
  const log = { held: [3, 4], cut: 0 };
  const { told, reconnect, end } = await following(log, 10);
  Object.assign(log, { held: [9, 12], cut: 8 });
  await reconnect();
  expect(told).toEqual({ shown: [3, 4, 9, 12], gaps: 1, cuts: [] });
  await reconnect();
  expect(told.gaps).toBe(1);
  await end();
});

it("says nothing of a cut that took only what was shown", async () => {
  const log = { held: [3, 4], cut: 2 };
  const { told, reconnect, end } = await following(log, 10);
  Object.assign(log, { held: [4, 5], cut: 3 });
  await reconnect();
  expect(told).toEqual({ shown: [3, 4, 5], gaps: 0, cuts: [2] });
  await end();
});

it("shows what a second break hid while the list after the first one was still asked for", async () => {
  const log: Parameters<typeof following>[0] = { held: [1], cut: 0 };
  const { told, reconnect, hear, end } = await following(log, 10);
  let arrive = (): void => {};
  log.further = () => new Promise((resolve) => (arrive = resolve));
  log.held = [1, 2];
  await reconnect();
  const first = arrive;
  // 3 came while it was away again.
  log.held = [1, 2, 3];
  await reconnect();
  await hear(4);
  log.held = [1, 2, 3, 4];
  first();
  await settle();
  arrive();
  await settle();
  await hear(5);
  expect(told).toEqual({ shown: [1, 2, 3, 4, 5], gaps: 0, cuts: [] });
  await end();
});

it("begun without past events shows none after a break, and whatever came since", async () => {
  const log = { held: [1, 2], cut: 0 };
  const { told, reconnect, hear, end } = await following(log, 0);
  await reconnect();
  log.held = [1, 2, 3];
  await reconnect();
  await hear(4);
  expect(told.shown).toEqual([3, 4]);
  await end();
});

it("begun without past events shows one that comes while it begins", async () => {
  let arrive = (): void => {};
  const log = { held: [1, 2], cut: 0, further: () => new Promise<void>((resolve) => (arrive = resolve)) };
  const { told, hear, end } = await following(log, 0);
  await hear(2);
  arrive();
  await hear(3);
  expect(told.shown).toEqual([2, 3]);
  await end();
});

it("shows what a leader wrote and could not tell before another one led", async () => {
  const log = { held: [1], cut: 0 };
  const { told, hear, end } = await following(log, 10);
  await hear(2);
  log.held = [1, 2, 3, 100, 101];
  await hear(101);
  await hear(102);
  expect(told).toEqual({ shown: [1, 2, 3, 100, 101, 102], gaps: 0, cuts: [] });
  await end();
});

it("tells what a restore wrote also where the connection lasted, as nobody publishes that", async () => {
  const log = { held: [3, 4, 5], cut: 0 };
  const { told, hear, end } = await following(log, 10);
  log.held = [3, 4, 200, 201];
  await hear(201);
  await hear(202);
  expect(told).toEqual({ shown: [3, 4, 5, 200, 201, 202], gaps: 0, cuts: [] });
  await end();
});
