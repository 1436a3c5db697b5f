// What the kernel tells about processes (/proc), parsed.
import { readFile, readdir } from "node:fs/promises";
import { forEachLimited } from "../limited.ts";

/** Files of /proc read at once: they are answered from memory, so few are enough. */
const readsAtOnce = 16;

/** The kernel counts CPU time for programs in hundredths of a second, on every platform Node runs on. */
const tickMs = 10;

export interface ProcessStat {
  readonly pid: number;
  readonly group: number;
  /** Clock ticks from boot to its start: with the pid, names one process of this boot. */
  readonly startTicks: number;
  /** CPU time of it and of its ended children, milliseconds. */
  readonly cpuMs: number;
}

/** Null when there is no such process, or nothing of it runs any more. */
export async function processStat(pid: number): Promise<ProcessStat | null> {
  return parseStat(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
}

/** Parses a line of /proc/PID/stat. The name in it may hold anything, parentheses and spaces too. */
export function parseStat(line: string): ProcessStat | null {
  const end = line.lastIndexOf(")");
  const pid = Number.parseInt(line, 10);
  const fields = line.slice(end + 2).split(" ");
  const number = (index: number): number => Number(fields[index]);
  if (end === -1 || !Number.isInteger(pid) || fields.length < 20) return null;
  // A process whose first thread has ended is a zombie too, while others of its threads run on.
  if (fields[0] === "X" || (fields[0] === "Z" && number(17) <= 1)) return null;
  return {
    pid,
    group: number(2),
    startTicks: number(19),
    cpuMs: (number(11) + number(12) + number(13) + number(14)) * tickMs,
  };
}

/** Every process of this machine. */
export async function allProcesses(): Promise<ProcessStat[]> {
  const found: ProcessStat[] = [];
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  await forEachLimited(pids, readsAtOnce, async (pid) => {
    const stat = await processStat(Number(pid));
    if (stat) found.push(stat);
  });
  return found;
}

/** Threads asked in turn for what their process has in common: those that end in the meantime tell nothing. */
const threadsAsked = 8;

/**
 * What `parse` finds in this file of a process. The first thread, which speaks for it, tells nothing once it has ended; each of
 * the others tells the same.
 */
async function ofProcess<Found>(
  pid: number,
  file: string,
  parse: (text: string) => Found | undefined,
): Promise<Found | undefined> {
  const found = parse(await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => ""));
  if (found !== undefined) return found;
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  for (const thread of threads.slice(1, 1 + threadsAsked)) {
    const own = parse(await readFile(`/proc/${pid}/task/${thread}/${file}`, "utf8").catch(() => ""));
    if (own !== undefined) return own;
  }
  return undefined;
}

/** True when the process was started with this variable; false too when it may not be looked at. */
export async function hasVariable(pid: number, name: string, value: string): Promise<boolean> {
  const parse = (text: string): boolean | undefined =>
    text === "" ? undefined : text.split("\0").includes(`${name}=${value}`);
  return (await ofProcess(pid, "environ", parse)) ?? false;
}

/** Its command line as the kernel has it; empty when it ended. */
export function commandLine(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

/** Memory in use, bytes; 0 when it ended. */
export async function residentBytes(pid: number): Promise<number> {
  const parse = (status: string): string | undefined => /^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1];
  return Number((await ofProcess(pid, "status", parse)) ?? 0) * 1024;
}

/** Milliseconds since boot. */
export async function uptimeMs(): Promise<number> {
  return Number.parseFloat(await readFile("/proc/uptime", "utf8")) * 1000;
}

/** When a process started, milliseconds since boot. */
export const startedMs = (stat: ProcessStat): number => stat.startTicks * tickMs;

/** Changes with every boot. */
export async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
