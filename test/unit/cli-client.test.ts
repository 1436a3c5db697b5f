// What a command says of a change that no leader answered.
import { expect, it } from "vitest";
import { Client } from "../../cli/client.ts";
import type { ClientParts } from "../../cli/client.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";

/** A client whose first try ends with that code, and all others with NO_LEADER. */
function clientOf(first: Code): Client {
  let now = 0;
  let tries = 0;
  const after = (ms: number, fn: () => void): (() => void) => {
    now += ms;
    queueMicrotask(fn);
    return () => {};
  };
  const request = (): Promise<never> => {
    tries += 1;
    return Promise.reject(new SwainError(tries === 1 ? first : "NO_LEADER", `try ${tries}`));
  };
  return new Client({
    bus: { request },
    cluster: "test",
    clock: { mono: () => now, after },
    ids: { next: () => "id" },
    random: { next: () => 0.5 },
    signal: new AbortController().signal,
  } as unknown as ClientParts);
}

it.each([
  ["TIMEOUT", "is not known", { code: "TIMEOUT", message: "try 1" }],
  ["BUSY", "is known", { code: "NO_LEADER" }],
] as const)("a change whose first try ended with %s: what became of it %s", async (first, _, said) => {
  await expect(clientOf(first).change("default", "workload", "scale", {})).rejects.toMatchObject(said);
});

it("a question that was not answered in time says what came last", async () => {
  await expect(clientOf("TIMEOUT").list("default", "workload")).rejects.toMatchObject({ code: "NO_LEADER" });
});
