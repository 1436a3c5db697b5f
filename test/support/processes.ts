// Looks behind drivers at the processes of this machine: whether one lives, and the pids of a process container's wrapper and program.
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

/** Whether a process with exactly these words lives. */
export const lives = (...words: string[]): boolean =>
  readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8") === `${words.join("\0")}\0`;
    } catch {
      return false;
    }
  });

function safely(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}

/** The program of a pod, found by the variable Swain gives it; the wrapper around it is a shell. */
export function nodeProgramOf(pod: string): number {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    try {
      const own = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`SWAIN_POD=${pod}`);
      return own && readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("node\0");
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`no program of ${pod}`);
  return Number(found);
}
