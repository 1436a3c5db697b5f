// Looks behind the process driver: the pids of a container's wrapper and program.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { allProcesses } from "../../services/agent/runtime/process/proc.ts";

/** Pid of the wrapper of a container's newest run; waits until it is written. */
export async function wrapperOf(data: string, id: string): Promise<number> {
  const read = (): number => {
    const folder = join(data, "processes", id);
    const run = readdirSync(folder).find((name) => name.startsWith("run-")) ?? "";
    return Number.parseInt(readFileSync(join(folder, run, "pid"), "utf8"), 10);
  };
  await expect.poll(() => safely(read), { timeout: 5000, interval: 5 }).toBeGreaterThan(0);
  return read();
}

/** Pid of the program itself: the first of the wrapper's group that is not the wrapper. */
export async function programOf(data: string, id: string): Promise<number> {
  const wrapper = await wrapperOf(data, id);
  const program = async (): Promise<number> => {
    const group = (await allProcesses()).filter(({ group, pid }) => group === wrapper && pid !== wrapper);
    return group.sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)[0]?.pid ?? 0;
  };
  await expect.poll(program, { timeout: 5000, interval: 5 }).toBeGreaterThan(0);
  return program();
}

function safely(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}
