// `swain exec` as people use it: streams, codes, floods, a terminal with its keys and its size, and leaving.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, root, swain, until } from "../support/cluster.ts";
import { onTerminal } from "../support/pty.ts";
import { anyServer, describeServers } from "../support/nats.ts";
import { lives } from "../support/processes.ts";

const box = {
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "box" },
  spec: {
    replicas: 1,
    containers: [
      { name: "main", process: { command: ["sleep", "1000"] }, env: [{ name: "COLOUR", value: "blue" }] },
      { name: "side", process: { command: ["sleep", "1000"] } },
    ],
  },
};

describeServers("swain exec", (natsServer) => {
  let cluster: Cluster;
  const exec = (...args: string[]) => swain(["exec", "--data", cluster.data, "pod/box-1", ...args]);

  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 1 });
    const applied = await cluster.apply([box], "--wait");
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  });
  afterAll(() => cluster?.dispose());

  it("passes words, streams and the exit code through, in the container that is named", async () => {
    const script = 'echo "$COLOUR $SWAIN_POD $1"; echo oops >&2; exit 7';
    expect(await exec("--", "sh", "-c", script, "sh", "a  b")).toEqual({
      code: 7,
      stdout: "blue box-1 a  b\n",
      stderr: "oops\n",
    });
    expect((await exec("-c", "side", "--", "sh", "-c", "echo $COLOUR.")).stdout).toBe(".\n");
    expect((await exec("--", "sh", "-c", "kill -TERM $$")).code).toBe(143);
  });

  it("carries much more than a window both ways, whole and in order", async () => {
    const input = Array.from({ length: 300_000 }, (_, line) => `line ${line} ä\n`).join("");
    const result = await swain(["exec", "-i", "pod/box-1", "--data", cluster.data, "--", "cat"], { input });
    expect(result.code).toBe(0);
    expect(result.stdout === input).toBe(true);
  });

  it("says what is wrong with a code", async () => {
    expect((await exec("-t", "--", "sh")).stderr).toContain("-t needs a terminal");
    expect((await exec("-t", "--", "sh")).code).toBe(2);
    expect(await exec("-c", "none", "--", "true")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("main, side"),
    });
    expect(await exec("--", "no-such-program")).toMatchObject({
      code: 127,
      stdout: "",
      stderr: expect.stringContaining("COMMAND_NOT_FOUND"),
    });
    expect((await exec("--", "/etc")).code).toBe(126);
    expect((await swain(["exec", "--data", cluster.data, "pod/box-9", "--", "true"])).code).toBe(3);
    expect((await exec()).stderr).toContain("say what to run");
  });

  it("gives a terminal: its size, its changes of size, its keys, and Ctrl-C for the program alone", async () => {
    const session = onTerminal(["exec", "-it", "pod/box-1", "--data", cluster.data, "--", "sh"]);
    session.type("stty size; echo in $COLOUR\n");
    await until("the shell answers", async () => /30 100\r\n[^]*in blue/.test(session.shown()));
    session.type("sleep 4321\n");
    await until("it sleeps", async () => lives("sleep", "4321"));
    session.type("\u0003");
    await until("Ctrl-C ended it", async () => !lives("sleep", "4321"));
    session.type("exit 5\n");
    expect(await session.ended).toBe(5);
  });

  it("gives a terminal of a usual size where nobody told one", async () => {
    const words = ["exec", "-it", "pod/box-1", "--data", cluster.data, "--", "stty", "size"];
    const session = onTerminal(words, {}, { columns: 0, rows: 0 });
    expect(await session.ended, session.shown()).toBe(0);
    expect(session.shown()).toContain("24 80");
  });

  it("ends quietly when its program does not read what is piped in", async () => {
    const result = await swain(["exec", "-i", "pod/box-1", "--data", cluster.data, "--", "head", "-c", "5"], {
      input: "0123456789".repeat(800_000),
    });
    expect(result).toEqual({ code: 0, stdout: "01234", stderr: "" });
  });

  // Half a minute of silence, which is the same to every server.
  const isOne = natsServer.path === anyServer().path;
  const silent = (name: string, test: () => Promise<void>): void => {
    if (isOne) it(name, { timeout: 90_000 }, test);
  };
  silent("ends the program when its client leaves, also without a word", async () => {
    for (const [signal, seconds] of [
      ["SIGTERM", "5431"],
      ["SIGKILL", "5432"],
    ] as const) {
      const main = join(root, "dist/cli/main.js");
      const words = ["exec", "pod/box-1", "--data", cluster.data, "--", "sleep", seconds];
      const client = spawn(process.execPath, [main, ...words], { stdio: "ignore" });
      await until("it sleeps", async () => lives("sleep", seconds));
      client.kill(signal);
      await until(`${signal} of the client ended it`, async () => !lives("sleep", seconds), 45_000);
    }
  });

  it("ends a flood nobody reads with its client, and nothing else", async () => {
    const main = join(root, "dist/cli/main.js");
    const words = ["exec", "pod/box-1", "--data", cluster.data, "--", "yes", "flood-of-lines"];
    const agent = cluster.pid("agent-node-1");
    const client = spawn(process.execPath, [main, ...words], { stdio: ["ignore", "pipe", "ignore"] });
    // A first line tells that the rest is on its way, and nobody takes it.
    await until("it floods", async () => client.stdout.read() !== null);
    client.kill("SIGINT");
    await until("its end took the flood along", async () => !lives("yes", "flood-of-lines"));
    client.stdout.resume();
    await until("the client is gone", async () => client.exitCode !== null);
    expect((await exec("--", "echo", "still here")).stdout, cluster.log("agent-node-1")).toBe("still here\n");
    expect(existsSync(`/proc/${agent}`)).toBe(true);
  });

  it("is on record without its arguments", async () => {
    await exec("--", "echo", "a-secret-word");
    const [leader, agent] = ["controller-1", "agent-node-1"].map((name) => cluster.log(name));
    expect(leader).toContain("a program was asked for in a pod");
    expect(agent).toContain("a program was started in a pod");
    expect(agent).toContain("a program in a pod ended");
    expect(`${leader}${agent}`).toContain("echo");
    expect(`${leader}${agent}`).not.toContain("a-secret-word");
  });
});
