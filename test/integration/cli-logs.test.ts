// `swain logs` against a real nats-server, with an agent that sends what each test needs.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LogsCredit } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { FakeLeader, podObject } from "../support/cli-leader.ts";

let leader: FakeLeader;
let session: string;
let granted: number[];
beforeEach(async () => {
  leader = await FakeLeader.start();
  granted = [];
  leader.items("default.pod.get", () => [podObject("web-1", "ready")]);
  const creditSubject = leader.subjects.node.command("n1", "logs-credit");
  leader.bus.subscribe(creditSubject, (message) => granted.push((message.json() as LogsCredit).credit));
  await leader.bus.flush(2000);
});
afterEach(() => leader.close());

/** Answers the request and sends the chunks at once, as a fast agent does. */
function agentSends(chunks: readonly object[]): void {
  leader.on("default.pod.logs", (body) => {
    session = String(body.session);
    for (const chunk of chunks) send(chunk);
    const subject = leader.subjects.node.log("n1", "web-1");
    return { node: "n1", subject, creditSubject: leader.subjects.node.command("n1", "logs-credit") };
  });
}
const send = (chunk: object): void =>
  leader.bus.publish(leader.subjects.node.log("n1", "web-1"), { session, ...chunk });
const line = (sequence: number, text: string, stream = "stdout"): object => ({ sequence, stream, text });

test("output that comes before the answer is not missed, streams stay apart, and the end is the end", async () => {
  agentSends([line(1, "one\n"), line(2, "oops\n", "stderr"), line(3, "two\n"), { sequence: 4, end: true }]);
  expect(await leader.run(["logs", "pod/web-1", "--tail", "5", "-c", "web"])).toEqual({
    code: 0,
    stdout: "one\ntwo\n",
    stderr: "oops\n",
  });
  expect(leader.bodies("default.pod.logs")).toEqual([
    { session, name: "web-1", follow: false, credit: 64, container: "web", tail: 5 },
  ]);
});

test("how far back is asked for by age or time, and each line shows its own time", async () => {
  const at = Date.parse("2026-01-31T08:00:00.000Z");
  const timed = (sequence: number, text: string, ...times: number[]) => ({ ...line(sequence, text), times });
  agentSends([timed(1, "one\ntw", at, at + 1), timed(2, "o\nthree\n", at + 1, at + 2), { sequence: 3, end: true }]);
  expect((await leader.run(["logs", "pod/web-1", "--since", "10m", "--timestamps"])).stdout).toBe(
    "2026-01-31T08:00:00.000Z one\n2026-01-31T08:00:00.001Z two\n2026-01-31T08:00:00.002Z three\n",
  );
  await leader.run(["logs", "pod/web-1", "--since", "2026-01-31T08:00:00Z", "--previous"]);
  expect(leader.bodies("default.pod.logs")).toMatchObject([
    { sinceMs: 600_000 },
    { sinceTime: at, previous: true, follow: false },
  ]);
});

test("lost chunks are said", async () => {
  agentSends([line(1, "one\n"), line(4, "four\n"), { sequence: 5, end: true }]);
  const { code, stdout, stderr } = await leader.run(["logs", "pod/web-1"]);
  expect([code, stdout]).toEqual([0, "one\nfour\n"]);
  expect(stderr).toContain("(2 pieces of the log were lost on the way)");
});

test("chunks of another session are not shown", async () => {
  agentSends([
    { sequence: 1, text: "stranger\n", session: "other-session" },
    line(1, "mine\n"),
    { sequence: 2, end: true },
  ]);
  expect((await leader.run(["logs", "pod/web-1"])).stdout).toBe("mine\n");
});

test("credit is granted for what was written, and not before standard output took it", async () => {
  let open = (): void => {};
  const held = new Promise<void>((resolve) => {
    open = resolve;
  });
  agentSends(Array.from({ length: 40 }, (_, index) => line(index + 1, `${index}\n`)));
  const run = leader.follow(["logs", "pod/web-1", "-f"], { drained: () => held });
  await expect.poll(run.stdout).toBe("0\n");
  await leader.bus.flush(2000);
  expect(granted).toEqual([]);
  open();
  await expect.poll(() => granted).toEqual([32]);
  await expect.poll(run.stdout).toContain("39\n");
  run.interrupt();
  expect(await run.done).toBe(0);
});

test("an end with an error is that error", async () => {
  agentSends([line(1, "one\n"), { sequence: 2, end: true, code: "ENGINE_UNREACHABLE", error: "the engine went away" }]);
  const { code, stderr } = await leader.run(["logs", "pod/web-1"]);
  expect(code).toBe(1);
  expect(stderr).toContain("error: ENGINE_UNREACHABLE: the engine went away\n");
});

test("a leader that waited for a silent agent as long as it does is heard, by logs and exec", async () => {
  const silent = async (): Promise<never> => {
    await new Promise((resolve) => setTimeout(resolve, limits.commandTimeoutMs));
    throw new SwainError("NODE_UNHEARD", "the agent of node n1 does not answer");
  };
  for (const verb of ["logs", "exec"]) leader.on(`default.pod.${verb}`, silent);
  const cluster = ["--server", leader.server.url, "--cluster", "test"];
  const commands = [
    ["logs", "pod/web-1"],
    ["exec", ...cluster, "pod/web-1", "--", "ls"],
  ];
  for (const { code, stderr } of await Promise.all(commands.map((command) => leader.run(command)))) {
    expect(stderr).toContain("error: NODE_UNHEARD: the agent of node n1 does not answer\n");
    expect(code).toBe(1);
  }
});

test("a pod that is on no node, and an agent that refuses, are told with their codes", async () => {
  leader.on("default.pod.logs", () => {
    throw new SwainError("NODE_UNHEARD", "the agent of node n1 does not answer");
  });
  expect((await leader.run(["logs", "pod/web-1"])).stderr).toContain("error: NODE_UNHEARD: the agent of node n1");
  const { spec, ...rest } = podObject("web-1", "pending", { message: "No node fits." });
  leader.items("default.pod.get", () => [{ ...rest, spec: { ...(spec as object), node: undefined } }]);
  const { code, stderr } = await leader.run(["logs", "pod/web-1"]);
  expect(code).toBe(3);
  expect(stderr).toContain("pod web-1 is on no node: No node fits.");
});
