// What a command says of a change that no leader answered.
import { expect, it } from "vitest";
import { Client } from "../../cli/client.ts";
import type { ClientParts } from "../../cli/client.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";

/** A client whose first try ends with that code, and all others with NO_LEADER. */
function clientOf(first: Code): Client {
  let tries = 0;
  return clientOver(() => {
    tries += 1;
    return Promise.reject(new SwainError(tries === 1 ? first : "NO_LEADER", `try ${tries}`));
  });
}

function clientOver(request: (subject: string) => Promise<unknown>): Client {
  let now = 0;
  const after = (ms: number, fn: () => void): (() => void) => {
    now += ms;
    queueMicrotask(fn);
    return () => {};
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

it("what is refused though it is listed, as while it is being deleted, gets no name that was meant", async () => {
  const items = [{ metadata: { name: "web", namespace: "default" } }];
  const refused = { error: { code: "NOT_FOUND", message: "Workload web is being deleted.", action: "" } };
  const request = async (subject: string): Promise<unknown> => ({
    json: () => (subject.endsWith(".list") ? { items } : refused),
  });
  const client = clientOver(request);
  await expect(client.change("default", "workload", "scale", { name: "web" })).rejects.toThrow(/is being deleted\.$/);
  await expect(client.change("default", "workload", "scale", { name: "wbe" })).rejects.toThrow(/Did you mean "web"/);
});

it.each([
  ["TIMEOUT", "is not known", { code: "TIMEOUT", message: "try 1" }],
  ["BUSY", "is known", { code: "NO_LEADER" }],
] as const)("a change whose first try ended with %s: what became of it %s", async (first, _, said) => {
  await expect(clientOf(first).change("default", "workload", "scale", {})).rejects.toMatchObject(said);
});

it("a question that was not answered in time says what came last", async () => {
  await expect(clientOf("TIMEOUT").list("default", "workload")).rejects.toMatchObject({ code: "NO_LEADER" });
});
