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

/** What the process was started as, its words joined by spaces; null when it is gone or may not be seen. */
export function commandLine(pid: number): string | null {
  if (process.platform !== "linux") return fromPs(pid, "command=");
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return null;
  }
}

/** The process that started it, or whoever took over for that one. */
export function parentOf(pid: number): number | null {
  if (process.platform !== "linux") return Number(fromPs(pid, "ppid=")) || null;
  return Number(statFields(pid)?.[1]) || null;
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

/** How a process ended: by itself, by force, or not even by that. */
export type End = "ended" | "killed" | "stuck";

/** Ends a process politely, by force after the given time. */
export async function endProcess(mark: ProcessMark, graceMs: number): Promise<End> {
  signal(mark, "SIGTERM");
  if (await waitForEnd(mark, graceMs)) return "ended";
  return killProcess(mark);
}

/** Ends a process by force. */
export async function killProcess(mark: ProcessMark): Promise<End> {
  signal(mark, "SIGKILL");
  return (await waitForEnd(mark, 5000)) ? "killed" : "stuck";
}

function startFromProc(pid: number): string | null {
  const fields = statFields(pid);
  return fields === null || fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
}

/** State, parent and so on, as /proc has them; the start is the 20th. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, so count from its end.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

function startFromPs(pid: number): string | null {
  const output = fromPs(pid, "state=,lstart=");
  return output === null || output.startsWith("Z") ? null : output.replace(/^\S+\s+/, "");
}

function fromPs(pid: number, columns: string): string | null {
  try {
    const output = execFileSync("ps", ["-ww", "-o", columns, "-p", String(pid)], {
      encoding: "utf8",
      timeout: 2000,
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return output === "" ? null : output;
  } catch {
    return null;
  }
}
