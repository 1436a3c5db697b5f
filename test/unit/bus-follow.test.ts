// What a follower of a log makes of a stream that tells of another time at which it was made.
import { expect, it } from "vitest";
import { followStream } from "../../services/bus/follow.ts";
import type { Wire } from "../../services/bus/wire.ts";
import { silent } from "../../services/kernel/log.ts";

/** Follows a log from 8 on, and has it look again when the record before is of that time; gives what it says then. */
async function lookedAgain(time: number): Promise<unknown[]> {
  let look: (() => void) | undefined;
  let stored = { created: "2026-01-31T08:00:00.001Z", time: 5000 };
  const json = (): object => ({
    created: stored.created,
    config: { num_replicas: 1 },
    state: { first_seq: 1, last_seq: 7, messages: 7 },
  });
  const wire = {
    clock: {
      every: (_ms: number, fn: () => void) => {
        look ??= fn;
        return () => {};
      },
      mono: () => 0,
    },
    logger: silent,
    state: () => "connected",
    onState: () => () => {},
    own: (cancel: () => void) => cancel,
    token: () => "c1",
    inbox: () => "_INBOX.c1",
    listen: () => () => {},
    finish: () => {},
    request: (subject: string) => (subject.includes("STREAM.INFO") ? Promise.resolve({ json }) : new Promise(() => {})),
  };
  const told: unknown[] = [];
  followStream(wire as unknown as Wire, "S", 8, {
    onRecord: () => {},
    onBroken: (tail) => told.push(tail),
    get: (sequence) => Promise.resolve({ sequence, subject: "a.b", data: new Uint8Array(), time: stored.time }),
  });
  // Nothing here waits for anything but promises.
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await settled();
  stored = { created: "2026-01-31T08:00:00.004Z", time };
  look?.();
  await settled();
  return told;
}

it("goes on where another server that has the stream has another time", async () => {
  expect(await lookedAgain(5000)).toEqual([]);
});

it("ends where the stream was made anew and has another record in that place", async () => {
  expect(await lookedAgain(6000)).toEqual([{ first: 1, last: 7 }]);
});
