// The table of exit codes in the README, each met by the built program; and what the program loads before it must.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root, swain } from "../support/cluster.ts";
import { onTerminal } from "../support/pty.ts";
import { SimCluster } from "../support/sim-cluster.ts";

const mainFile = join(root, "dist/cli/main.js");
let cluster: SimCluster;
beforeAll(async () => {
  cluster = await SimCluster.start();
});
afterAll(() => cluster?.dispose());

test("each exit code of the README is met", async () => {
  await cluster.web("web", 1);
  const code = async (...args: string[]): Promise<number> => (await cluster.run(args)).code;
  const met = new Map([
    [0, await code("wait", "workload/web")],
    [1, (await swain(["doctor", "--server", cluster.server.url, "--cluster", "other"])).code],
    [2, await code("gte", "pods")],
    [3, await code("describe", "workload/wbe")],
    [4, (await swain(["get", "pods", "--server", "nats://127.0.0.1:1"])).code],
    [5, await code("wait", "workload/web", "--for", "count=2", "--timeout", "200ms")],
  ]);
  const watch = onTerminal(["wait", "workload/web", "--for", "count=2", ...cluster.options]);
  await expect.poll(watch.shown, { timeout: 20_000 }).toContain("1/1 ready");
  watch.type("\u0003");
  met.set(130, await watch.ended);
  for (const [wanted, seen] of met) expect(seen).toBe(wanted);
  const table = readFileSync(join(root, "README.md"), "utf8").split("## Exit codes")[1]?.split("\n## ")[0] ?? "";
  expect([...table.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number))).toEqual([...met.keys()]);
});

test("mistyped words are answered with the nearest, of commands, options, kinds and names", async () => {
  for (const [args, meant] of [
    [["gte", "pods"], '"get"'],
    [["get", "pdos"], '"pods"'],
    [["get", "pods", "--all-namespace"], "--all-namespaces"],
    [["describe", "workload/wbe"], '"web"'],
    [["scale", "workload/wbe", "--replicas", "1"], '"web"'],
  ] as const) {
    expect((await cluster.run(args)).stderr, args.join(" ")).toMatch(new RegExp(`[Dd]id you mean ${meant}\\?`));
  }
});

test("a list watched shows what changes of every kind", async () => {
  for (const [kind, marks] of [
    ["workloads", "1/1"],
    ["nodes", "node-2"],
  ] as const) {
    const watch = onTerminal(["get", kind, "-w", ...cluster.options], { NO_COLOR: "1" });
    await expect.poll(watch.shown, { timeout: 20_000 }).toContain(marks);
    const before = watch.shown().length;
    await cluster.ok(["scale", "workload/web", "--replicas", kind === "workloads" ? "3" : "1", "--wait"]);
    await expect.poll(() => watch.shown().length, { timeout: 20_000 }).toBeGreaterThan(before);
    watch.type("\u0003");
    expect(await watch.ended).toBe(0);
    expect(watch.shown()).not.toContain("\u001B[3");
  }
});

test.each([[["--help"]], [["get", "--help"]], [["version"]], [["get", "pdos"]]])("%j loads no NATS client", (args) => {
  const folder = mkdtempSync(join(tmpdir(), "swain-loaded-"));
  try {
    const main = join(root, "dist/cli/main.js");
    try {
      execFileSync(process.execPath, [main, ...args], {
        env: { ...process.env, NODE_V8_COVERAGE: folder },
        stdio: "pipe",
      });
    } catch {
      // Refused, as the last of them should be; what it loaded is known all the same.
    }
    const seen = readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), "utf8"))
      .join("");
    expect(seen).toContain("dist/cli/dispatch.js");
    expect(seen).not.toMatch(/node_modules\/(nats|@nats-io|dockerode|yaml|ajv|@bomb\.sh)\//);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("output that cannot be written is one line and exit code 1; a reader that left is no error", async () => {
  const told = async (shell: string): Promise<[code: number | null, stderr: string]> => {
    const program = spawn("sh", ["-c", shell, process.execPath, mainFile, "help"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    program.stderr.on("data", (chunk) => (stderr += String(chunk)));
    const [code] = (await once(program, "close")) as [number | null];
    return [code, stderr];
  };
  expect(await told('"$0" "$1" --help > /dev/full')).toEqual([
    1,
    "error: OUTPUT_FAILED: the output cannot be written: no space is left where it goes. Make room, or write to another place.\n",
  ]);
  expect(await told('"$0" "$1" --help 2> /dev/full')).toEqual([0, ""]);
  expect(await told('"$0" "$1" nonsense 2> /dev/full')).toEqual([1, ""]);
  const closed = '{ "$0" "$1" completion bash; echo "$?" >&2; } | true';
  expect((await told(closed))[1]).toBe("0\n");
});
