// What `swain events -f` says when it was disconnected, and what it missed is not in the log any more.
import { expect, it } from "vitest";
import type { Feed } from "../../schemas/generated/types.ts";
import type { Client } from "../../cli/client.ts";
import { followEvents } from "../../cli/events.ts";
import type { BusState } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { settle } from "../support/agent.ts";

const feed = (sequence: number): Feed =>
  ({
    id: `log.1.${sequence}.0`,
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

/** Follows events of which the log holds those of `log.held`, and was cut up to `log.cut`; `reconnect` is called after a break. */
async function following(log: { held: number[]; cut: number }, last: number) {
  const ending = new AbortController();
  let hear: (state: BusState) => void = () => {};
  const client = {
    signal: ending.signal,
    subjects: subjectsOf("test"),
    bus: {
      subscribe: () => () => {},
      onState: (handler: (state: BusState) => void) => {
        hear = handler;
        return () => {};
      },
    },
    events: (_scope: string, limit: number, _name: string | undefined, onCut?: (sequence: number) => void) => {
      if (log.held.length < limit && log.cut > 0) onCut?.(log.cut);
      return Promise.resolve(log.held.slice(-limit).map(feed));
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
    hear("connected");
    await settle();
  };
  const end = async (): Promise<void> => {
    ending.abort();
    await followed.catch(() => {});
  };
  return { told, reconnect, end };
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
