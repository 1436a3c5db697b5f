// Runs a short-lived program of the system, bounded in time and output.
import { spawn } from "node:child_process";

/** Enough for any message worth repeating; a program that says more is cut. */
const outputBytes = 64 * 1024;

export interface RunResult {
  /** Null when it could not be started, was killed or ran out of time. */
  readonly code: number | null;
  /** Standard output and error, mixed. */
  readonly output: string;
  /** Why there is no exit code; undefined when there is one. */
  readonly trouble?: string;
}

export interface RunOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

/** Runs the program to its end; never rejects. Out of time, it and what it started are killed. */
export function run(program: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve) => {
    let output = "";
    let trouble: string | undefined;
    // A group of its own, so that a compiler's or downloader's own children die with it.
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    const kill = (why: string): void => {
      trouble ??= why;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It ended in this moment.
      }
    };
    const timer = setTimeout(() => kill(`no end after ${options.timeoutMs / 1000} s`), options.timeoutMs);
    const onAbort = (): void => kill("interrupted");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.signal?.aborted === true) onAbort();
    const take = (chunk: Buffer): void => {
      if (output.length < outputBytes) output += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const finish = (code: number | null): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      resolve({ code: trouble === undefined ? code : null, output, ...(trouble === undefined ? {} : { trouble }) });
    };
    child.on("error", (error) => {
      trouble ??= error.message;
      finish(null);
    });
    child.on("close", (code, signal) => {
      if (code === null) trouble ??= `ended by ${signal ?? "a signal"}`;
      finish(code);
    });
  });
}

/** The last line that says something, for an error message of one line. */
export function lastLine(result: RunResult): string {
  if (result.trouble !== undefined) return result.trouble;
  const lines = result.output.split("\n").map((line) => line.trim());
  return lines.findLast((line) => line !== "")?.slice(0, 300) ?? `exit code ${result.code}`;
}
