// Where a message of a consumer stands is in its reply subject alone, in one of two forms.
import { expect, it } from "vitest";
import { openConsumer } from "../../services/bus/consumer.ts";
import type { Wire, WireMessage } from "../../services/bus/wire.ts";

/** What a consumer makes of messages with these reply subjects: sequence and time of each, and `lost` when it gave up. */
function told(...replies: readonly string[]): unknown[] {
  let hear: (message: WireMessage) => void = () => {};
  const wire = {
    clock: { every: () => () => {}, mono: () => 0, wall: () => 0, after: () => () => {} },
    state: () => "connected",
    token: () => "c1",
    inbox: () => "_INBOX.c1",
    request: () => new Promise(() => {}),
    listen: (_subject: string, handler: (message: WireMessage) => void) => {
      hear = handler;
      return () => {};
    },
    finish: () => {},
  };
  const heard: unknown[] = [];
  openConsumer(
    wire as unknown as Wire,
    { stream: "S", start: { sequence: 1 } },
    {
      onMessage: ({ sequence, time }) => heard.push([sequence, time]),
      onLost: () => heard.push("lost"),
    },
  );
  for (const reply of replies) {
    hear({
      subject: "a.b",
      reply,
      data: new Uint8Array(),
      status: 0,
      header: () => undefined,
    } as unknown as WireMessage);
  }
  return heard;
}

it("reads the form without a domain", () => {
  expect(told("$JS.ACK.S.c1.1.7.1.1767225600123999999.0", "$JS.ACK.S.c1.1.9.2.1767225600124000001.0")).toEqual([
    [7, 1_767_225_600_123],
    [9, 1_767_225_600_124],
  ]);
});

it("reads the form with domain and account, with and without a token behind", () => {
  expect(
    told("$JS.ACK.hub.ACC.S.c1.1.7.1.1767225600123999999.0", "$JS.ACK._.ACC.S.c1.1.8.2.1767225600124000001.3.x9Fz"),
  ).toEqual([
    [7, 1_767_225_600_123],
    [8, 1_767_225_600_124],
  ]);
});

it.each(["$JS.ACK.S.c1.1.7.1.1767225600123000000", "$JS.ACK.S.c1.1.7.1.1767225600123000000.0.x", "_INBOX.c1.7", ""])(
  "takes a message with the reply subject %j for one of several that were lost",
  (reply) => {
    expect(told(reply)).toEqual(["lost"]);
  },
);
