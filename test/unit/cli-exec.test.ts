// A session of `swain exec` that its agent does not know any more.
import { describe, expect, it } from "vitest";
import type { Client } from "../../cli/client.ts";
import { runProgram } from "../../cli/exec-session.ts";
import type { Keys } from "../../cli/tty.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";
import { ManualClock, settle } from "../support/agent.ts";

/** Runs a program that prints nothing; `sign` is what comes of a sign of life. */
function running(sign: () => Code) {
  const clock = new ManualClock();
  const client = {
    clock,
    ids: { next: () => "session-1" },
    signal: new AbortController().signal,
    subjects: subjectsOf("test"),
    ask: async () => ({}),
    get: async () => ({ spec: { node: "n1" }, status: { state: "ready" } }),
    bus: {
      publish: () => {},
      request: () => Promise.reject(new SwainError(sign(), "as told")),
      subscribe: () => () => {},
    },
  } as unknown as Client;
  const told = { end: "" };
  const program = { namespace: "default", pod: "web-1", container: undefined, command: ["sleep"], tty: false };
  const keys = { close: () => {} } as unknown as Keys;
  void runProgram(client, keys, async () => {}, { ...program, stdin: false }).then(
    (code) => (told.end = String(code)),
    (error: SwainError) => (told.end = error.code),
  );
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await settle();
  };
  return { told, pass };
}

describe("a program that prints nothing", () => {
  it("goes on while somebody listens to it, and while its agent is away for a moment", async () => {
    let code: Code = "TIMEOUT";
    const { told, pass } = running(() => code);
    await settle();
    await pass(60_000);
    code = "NO_LEADER";
    await pass(30_000);
    code = "TIMEOUT";
    await pass(15_000);
    code = "NO_LEADER";
    await pass(30_000);
    expect(told.end).toBe("");
  });

  it("is over where nobody listens to it any more", async () => {
    const { told, pass } = running(() => "NO_LEADER");
    await settle();
    for (let at = 0; at < 3; at++) await pass(15_000);
    expect(told.end).toBe("TIMEOUT");
  });
});
