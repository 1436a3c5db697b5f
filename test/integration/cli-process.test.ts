// The built program as a process of its own: what a shell sees of it.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { FakeLeader, podObject } from "../support/cli-leader.ts";

const main = join(import.meta.dirname, "../../dist/cli/main.js");
const children: ChildProcess[] = [];
const leaders: FakeLeader[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const leader of leaders.splice(0)) await leader.close();
});

interface Program {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

function start(...args: string[]): Program {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const written = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => (written.out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (written.err += chunk.toString()));
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  return { child, stdout: () => written.out, stderr: () => written.err, ended };
}

async function startLeader(): Promise<FakeLeader> {
  const leader = await FakeLeader.start();
  leaders.push(leader);
  return leader;
}

test("a reader that goes away ends the program quietly", async () => {
  const program = start("--help");
  program.child.stdout?.destroy();
  expect(await program.ended).toBe(0);
  expect(program.stderr()).toBe("");
});

test("a long list reaches a pipe whole", async () => {
  const leader = await startLeader();
  leader.items("default.pod.list", () => Array.from({ length: 1500 }, (_, at) => podObject(`web-${at}`, "ready")));
  const program = start("get", "pods", "-o", "json", "--server", leader.server.url, "--cluster", "test");
  expect(await program.ended).toBe(0);
  expect((JSON.parse(program.stdout()) as { items: unknown[] }).items).toHaveLength(1500);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends a watch in order, with exit code 0", async (signal) => {
  const leader = await startLeader();
  leader.items("default.pod.list", () => [podObject("web-1", "ready")]);
  const program = start("get", "pods", "-w", "--server", leader.server.url, "--cluster", "test");
  await expect.poll(program.stdout, { timeout: 20_000 }).toContain("web-1");
  program.child.kill(signal);
  expect(await program.ended).toBe(0);
  expect(program.stderr()).toBe("");
});

test("an interrupted wait for a leader ends at once with 130", async () => {
  const leader = await startLeader();
  await leader.resign();
  const program = start("get", "pods", "--server", leader.server.url, "--cluster", "test");
  await expect.poll(program.stderr, { timeout: 20_000 }).toContain("Still waiting for a leader");
  program.child.kill("SIGINT");
  expect(await program.ended).toBe(130);
});

test("a wait without a leader takes the time it was given, and no more", async () => {
  const leader = await startLeader();
  await leader.resign();
  const at = ["--server", leader.server.url, "--cluster", "test"];
  const began = performance.now();
  const program = start("wait", "workload/web", "--timeout", "2s", ...at);
  expect(await program.ended).toBe(4);
  expect(program.stderr()).toContain("error: NO_LEADER: ");
  expect(performance.now() - began).toBeLessThan(8000);
});

test("errors go to standard error with their exit code, and nothing to standard output", async () => {
  const program = start("get", "podz");
  expect(await program.ended).toBe(2);
  expect(program.stdout()).toBe("");
  expect(program.stderr()).toContain('error: INVALID_ARGUMENT: unknown kind "podz"; did you mean "pods"?');
});

test("an agent whose folder cannot be read says so and ends", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-no-folder-"));
  const file = join(folder, "file");
  writeFileSync(file, "");
  try {
    const agent = start(
      "agent",
      "--id",
      "n1",
      "--runtime",
      "process",
      "--server",
      "nats://127.0.0.1:1",
      "--data",
      file,
    );
    expect(await agent.ended).toBe(1);
    expect(agent.stderr()).toContain("DISK_ERROR: cannot read");
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 20_000);
