// A session of `swain logs` whose messages are doubled or lost, or whose pod or agent goes in silence.
import { describe, expect, it } from "vitest";
import type { Client } from "../../cli/client.ts";
import type { Terminal } from "../../cli/command.ts";
import { readLogs } from "../../cli/log-session.ts";
import { showWorkloadLogs } from "../../cli/workload-logs.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { ManualClock, settle } from "../support/agent.ts";

/** Follows web-1 on n1; `object` is what the leader says of the pod. */
function following(object: () => object | null) {
  const clock = new ManualClock();
  const signs: unknown[] = [];
  let deliver: (chunk: object) => void = () => {};
  const client = {
    clock,
    ids: { next: () => "session-1" },
    signal: new AbortController().signal,
    subjects: subjectsOf("test"),
    ask: async () => ({ creditSubject: "credit" }),
    find: async () => object(),
    bus: {
      publish: (_subject: string, sign: object) => void signs.push(sign),
      subscribe: (_subject: string, handler: (message: { json(): unknown }) => void) => {
        deliver = (chunk) => handler({ json: () => ({ session: "session-1", ...chunk }) });
        return () => {};
      },
    },
  } as unknown as Client;
  const told = { text: "", lost: 0, end: "" };
  const wanted = { namespace: "default", pod: "web-1", container: undefined, follow: true, tail: undefined } as const;
  const more = { since: null, previous: false, timestamps: false };
  void readLogs(
    client,
    "n1",
    { ...wanted, ...more },
    {
      take: async ({ text }) => void (told.text += text),
      lost: (pieces) => (told.lost += pieces),
    },
  ).then(
    () => (told.end = "over"),
    (error: { code: string }) => (told.end = error.code),
  );
  return { clock, told, signs, send: (chunk: object) => deliver(chunk) };
}

const running = (): object => ({ status: { state: "ready" } });

describe("output that is followed", () => {
  it("is shown once where a piece comes twice, and one that comes after it counted as lost is left out", async () => {
    const { told, send } = following(running);
    await settle();
    const texts = [1, 2, 2, 4, 3, 5].map((sequence) => ({ sequence, text: `${sequence}\n` }));
    for (const chunk of texts) send(chunk);
    await settle();
    expect(told).toEqual({ text: "1\n2\n4\n5\n", lost: 1, end: "" });
  });

  it("ends where its agent says that it sends it no more", async () => {
    const { clock, told, signs, send } = following(running);
    await settle();
    send({ sequence: 1, text: "one\n" });
    await clock.advance(10_000);
    expect(signs).toEqual([{ session: "session-1", credit: 1, pod: "web-1" }]);
    send({ sequence: 1, end: true, code: "TIMEOUT", error: "the agent was started anew" });
    await settle();
    expect(told.end).toBe("TIMEOUT");
  });

  it.each([
    ["is not there any more", () => null, "DELETED"],
    ["is lost with its node", () => ({ status: { state: "lost", message: "" } }), "NODE_UNHEARD"],
  ])("ends when its pod %s", async (_how, later, code) => {
    let object: () => object | null = running;
    const { clock, told } = following(() => object());
    await settle();
    await clock.advance(30_000);
    expect(told.end).toBe("");
    object = later;
    await clock.advance(10_000);
    await settle();
    expect(told.end).toBe(code);
  });
});

it("of a workload is followed on where nobody leads for a while, and pods that came meanwhile are read", async () => {
  const clock = new ManualClock();
  const ending = new AbortController();
  const pod = (name: string): object => ({
    metadata: { name },
    spec: { workload: "web", node: "n1" },
    status: { state: "ready", restarts: 0, containers: [{ id: `of-${name}` }] },
  });
  const answers = [[pod("web-1")], new SwainError("NO_LEADER", "nobody leads"), [pod("web-1"), pod("web-2")]];
  const asked: string[] = [];
  const client = {
    clock,
    ids: { next: () => `session-${asked.length}` },
    signal: ending.signal,
    subjects: subjectsOf("test"),
    get: async () => ({}),
    find: async () => running(),
    list: async () => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof SwainError) throw answer;
      return answer;
    },
    ask: async (_namespace: string, _resource: string, _verb: string, { name }: { name: string }) => {
      asked.push(name);
      return { creditSubject: "credit" };
    },
    bus: { publish: () => {}, subscribe: () => () => {} },
  } as unknown as Client;
  let said = "";
  const terminal = { err: (text: string) => void (said += text), out: () => {} } as unknown as Terminal;
  const wanted = {
    namespace: "default",
    workload: "web",
    container: undefined,
    follow: true,
    tail: undefined,
  } as const;
  const more = { since: null, previous: false, timestamps: false, prefix: true };
  const followed = showWorkloadLogs(terminal, client, { ...wanted, ...more });
  for (let look = 0; look < 3; look++) {
    await settle();
    await clock.advance(6000);
  }
  await settle();
  expect(said).toBe("NO_LEADER: nobody leads; still following\n+ web-2 on n1\n");
  expect(asked).toEqual(["web-1", "web-2"]);
  ending.abort();
  expect(await followed).toBe(0);
});
