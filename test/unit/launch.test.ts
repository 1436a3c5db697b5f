// A part that does not get ready in time, as on a machine that stands still, is ended as a crash would end it.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { launchPart } from "../../cli/local/launch.ts";
import { markOf } from "../../cli/local/processes.ts";

let folder: string;
const options = process.env["NODE_OPTIONS"];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "swain-launch-"));
  // Loaded before the program, it keeps that from starting, and notes when it is asked to end.
  const hook = join(folder, "hook.mjs");
  writeFileSync(
    hook,
    `import { writeFileSync } from "node:fs";
     process.on("SIGTERM", () => (writeFileSync(${JSON.stringify(join(folder, "asked"))}, "politely"), process.exit(0)));
     writeFileSync(${JSON.stringify(join(folder, "begun"))}, "");
     await new Promise((resolve) => setTimeout(resolve, 60_000));`,
  );
  process.env["NODE_OPTIONS"] = `--import ${hook}`;
});
afterEach(() => {
  if (options === undefined) delete process.env["NODE_OPTIONS"];
  else process.env["NODE_OPTIONS"] = options;
  rmSync(folder, { recursive: true, force: true });
});

const launch = (readyMs: number, signal: AbortSignal, pids: number[] = []): Promise<unknown> =>
  launchPart({
    name: "agent-node-1",
    args: ["agent", "--stop-pods"],
    log: join(folder, "agent.log"),
    stopMs: 5000,
    onSpawn: (pid) => pids.push(pid),
    signal,
    readyMs,
  });

it("so that an agent leaves its pods to the next", async () => {
  const pids: number[] = [];
  await expect(launch(2000, new AbortController().signal, pids)).rejects.toMatchObject({ code: "PART_NOT_STARTED" });
  expect(existsSync(join(folder, "begun"))).toBe(true);
  expect(existsSync(join(folder, "asked"))).toBe(false);
  expect(pids.map((pid) => markOf(pid))).toEqual([null]);
});

it("but not when all is told to stop, pods included", async () => {
  const ending = new AbortController();
  const launching = launch(30_000, ending.signal);
  launching.catch(() => {});
  await expect.poll(() => existsSync(join(folder, "begun")), { timeout: 10_000 }).toBe(true);
  ending.abort(new Error("told to stop"));
  await expect(launching).rejects.toThrow("told to stop");
  expect(readFileSync(join(folder, "asked"), "utf8")).toBe("politely");
});
