import { expect, it } from "vitest";
import type { LogChunk } from "../../schemas/generated/types.ts";
import { LogSessions } from "../../services/agent/logs.ts";
import type { Pods } from "../../services/agent/pods.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus } from "../../services/bus/port.ts";
import { containerOf, ManualClock, podNamed, settle } from "../support/agent.ts";

it("a client that had no answer asks again, and the output comes once, also when it has ended", async () => {
  const clock = new ManualClock();
  const sessions = new LogSessions(clock);
  const sent: LogChunk[] = [];
  const bus = { publish: (_subject: string, chunk: unknown) => void sent.push(chunk as LogChunk) } as unknown as Bus;
  const pod = podNamed("web-1");
  let ends = (): void => {};
  const driver = { logs: () => new Promise<void>((resolve) => (ends = resolve)) };
  const pods = { containersOf: () => ({ pod, containers: [containerOf(pod, "web")] }), driver } as unknown as Pods;
  const open = (): void => sessions.open({ session: "session-1", name: "web-1" }, pods, bus, (name) => name);
  open();
  open();
  ends();
  await settle();
  // As long as a client may ask.
  await clock.advance(limits.clientRetryMs);
  open();
  expect(sent).toEqual([{ session: "session-1", container: "web", sequence: 1, end: true }]);
  expect(clock.pending).toBe(0);
});

it("who did not hear the end of a session is told it again, also by an agent that was started anew", async () => {
  const clock = new ManualClock();
  const sessions = new LogSessions(clock);
  const sent: [string, LogChunk][] = [];
  const bus = {
    publish: (subject: string, chunk: unknown) => void sent.push([subject, chunk as LogChunk]),
  } as unknown as Bus;
  const pod = podNamed("web-1");
  const driver = { logs: async () => {} };
  const pods = { containersOf: () => ({ pod, containers: [containerOf(pod, "web")] }), driver } as unknown as Pods;
  const alive = (session: string, of?: string): void => {
    sessions.credit({ session, credit: 0, ...(of === undefined ? {} : { pod: of }) }, bus, (name) => `log.${name}`);
  };
  sessions.open({ session: "session-1", name: "web-1" }, pods, bus, (name) => `log.${name}`);
  await settle();
  sent.splice(0);
  alive("session-1", "web-1");
  expect(sent.splice(0)).toEqual([["log.web-1", { session: "session-1", sequence: 1, end: true }]]);
  alive("of-an-earlier-agent", "web-1");
  expect(sent.splice(0)).toMatchObject([["log.web-1", { session: "of-an-earlier-agent", end: true, code: "TIMEOUT" }]]);
  // An older client does not say whose output it is.
  alive("of-an-earlier-agent");
  expect(sent).toEqual([]);
});
