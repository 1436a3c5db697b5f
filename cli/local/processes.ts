// Processes of this machine by id and start time: asking whether one still lives, and ending it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { ProcessMark } from "./layout.ts";

/** When the process started, in the system's own terms; null when it is gone or only waits to be reaped. */
export function processStart(pid: number): string | null {
  return process.platform === "linux" ? startFromProc(pid) : startFromPs(pid);
}

/** The mark of a running process, or null. */
export function markOf(pid: number): ProcessMark | null {
  const start = processStart(pid);
  return start === null ? null : { pid, start };
}

/** True while that very process lives. */
export function isAlive(mark: ProcessMark): boolean {
  return processStart(mark.pid) === mark.start;
}

/** Sends a signal, if it is still that process. */
export function signal(mark: ProcessMark, name: NodeJS.Signals): void {
  if (!isAlive(mark)) return;
  try {
    process.kill(mark.pid, name);
  } catch {
    // It ended in this moment, or it belongs to somebody else; the wait that follows tells.
  }
}

/** Resolves true when the process has ended, false when it still lives after that time. */
export async function waitForEnd(mark: ProcessMark, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(mark)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

/** Ends a process politely, by force after the given time. Returns false when even that did not end it. */
export async function endProcess(mark: ProcessMark, graceMs: number): Promise<boolean> {
  signal(mark, "SIGTERM");
  if (await waitForEnd(mark, graceMs)) return true;
  signal(mark, "SIGKILL");
  return waitForEnd(mark, 5000);
}

function startFromProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, so count from its end: state is the 1st field after it, start the 20th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function startFromPs(pid: number): string | null {
  try {
    const output = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      timeout: 2000,
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return output === "" || output.startsWith("Z") ? null : output.replace(/^\S+\s+/, "");
  } catch {
    return null;
  }
}
