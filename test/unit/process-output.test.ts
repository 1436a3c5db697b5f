// Reads the output files of a process while it prints.
import { getEventListeners } from "node:events";
import { appendFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { readOutput } from "../../services/agent/runtime/process/logs.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";

let folder = "";
afterEach(() => rm(folder, { recursive: true, force: true }));

it("waits for one change at a time, also where a program prints all the time", async () => {
  folder = await mkdtemp(join(tmpdir(), "swain-output-"));
  const run = join(folder, "run");
  await mkdir(run);
  // The system tells of many changes as of one; of those elsewhere it tells nothing.
  const elsewhere = join(folder, "elsewhere.log");
  await symlink(elsewhere, join(run, "stdout.log"));
  const running = async (): Promise<boolean> => {
    await appendFile(elsewhere, "a line\n");
    return true;
  };
  const end = new AbortController();
  const waits: number[] = [];
  const onOutput = async (): Promise<void> => {
    waits.push(getEventListeners(end.signal, "abort").length);
    if (waits.length === 20) end.abort();
  };
  await readOutput([run], { follow: true, signal: end.signal }, onOutput, { clock: systemClock, running });
  expect(waits).toHaveLength(20);
  expect(Math.max(...waits)).toBe(1);
});
