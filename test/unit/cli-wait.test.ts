// A wait whose time is over as the leader is lost.
import { expect, it } from "vitest";
import type { Client } from "../../cli/client.ts";
import type { Terminal } from "../../cli/command.ts";
import { waitForGoals } from "../../cli/wait.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { ManualClock, settle } from "../support/agent.ts";

it.each([
  ["is answered by nobody", () => new Promise<never>(() => {})],
  ["is refused", () => Promise.reject(new SwainError("NO_LEADER", "nobody leads"))],
])("ends in time as what it is, where the question why %s", async (_how, list) => {
  const clock = new ManualClock();
  const status = { replicas: 1, ready: 0, updated: 1, phase: "progressing", reason: "", message: "", pods: 1 };
  const client = {
    clock,
    subjects: subjectsOf("test"),
    signal: new AbortController().signal,
    find: async () => ({ spec: {}, status }),
    list,
    bus: { subscribe: () => () => {} },
  } as unknown as Client;
  const terminal = { columns: null, err: () => {} } as unknown as Terminal;
  const goal = { kind: "workload", namespace: "default", name: "web", until: "settled" } as const;
  let code = "";
  waitForGoals(terminal, client, [goal], { timeoutMs: 5000, minSeq: 1 }).catch((error: SwainError) => {
    code = error.code;
  });
  for (let second = 0; second < 7; second++) {
    await settle();
    await clock.advance(1000);
  }
  await settle();
  expect(code).toBe("WAIT_TIMEOUT");
});
