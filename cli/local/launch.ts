// Starts one part of Swain as a process of its own: `node …/main.js controller|agent|proxy …`.
import { spawn } from "node:child_process";
import { closeSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SwainError } from "../../services/kernel/errors.ts";
import type { StarterMessage } from "../notify.ts";
import { lastLines, openLog } from "./log-files.ts";

/** A process that reported ready. */
export interface Launched {
  readonly pid: number;
  /** Resolves when it has ended, with how: `inOrder`, or other words. */
  readonly closed: Promise<string>;
  /** Ends it politely, in the end by force. */
  stop(): Promise<void>;
}

export interface LaunchOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly log: string;
  /** From the polite signal to the kill. */
  readonly stopMs: number;
  /** Told as soon as there is a process, so that it is on record before it is ready. */
  readonly onSpawn: (pid: number) => void;
  readonly signal: AbortSignal;
  /** How long it has to say that it is ready. */
  readonly readyMs?: number;
}

/** How a process ended that did all it had to. */
export const inOrder = "exit code 0";

/** Long enough for a cold start on a busy small machine. */
const readyMs = 30_000;

/** The program itself, as built or as source. */
export const programPath = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../main.ts" : "../main.js", import.meta.url),
);

/** The examples that come with the program: beside its sources, or above the folder it is built into. */
export const examplesFolder = ["../../examples", "../../../examples"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path) => existsSync(path)) as string;

/** Starts it and resolves when it says that it is ready. Rejects, with nothing left running, when it ends or stays silent. */
export async function launchPart(options: LaunchOptions): Promise<Launched> {
  options.signal.throwIfAborted();
  const { descriptor, from } = await openLog(options.log);
  // Its output goes to the file directly and its group is its own: it outlives this supervisor and its terminal. That it is
  // ready it says over a channel, because on a full disk the file takes no line.
  const child = spawn(process.execPath, [...process.execArgv, programPath, ...options.args], {
    stdio: ["ignore", descriptor, descriptor, "ipc"],
    detached: true,
    // Its log is a file for people, unless somebody wants it otherwise.
    env: { SWAIN_LOG_FORMAT: "pretty", ...process.env },
  });
  closeSync(descriptor);
  const state = { ended: false, ready: false };
  const closed = new Promise<string>((resolve) => {
    const end = (how: string): void => {
      state.ended = true;
      resolve(how);
    };
    child.on("error", (error) => end(error.message));
    child.on("exit", (code, signal) => end(code === null ? `ended by ${signal}` : `exit code ${code}`));
  });
  child.on("message", (message: StarterMessage) => {
    state.ready ||= "ready" in message;
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), options.stopMs);
    await closed;
    clearTimeout(force);
  };
  if (child.pid !== undefined) options.onSpawn(child.pid);
  try {
    await ready(options, from, state);
  } catch (error) {
    // An agent that is asked politely may take its pods along, and these may have run since long before: it is started again.
    if (!options.signal.aborted) child.kill("SIGKILL");
    await stop();
    throw error;
  } finally {
    if (child.connected) child.disconnect();
  }
  return { pid: child.pid ?? 0, closed, stop };
}

async function ready(
  options: LaunchOptions,
  from: number,
  state: { readonly ended: boolean; readonly ready: boolean },
): Promise<void> {
  const patience = options.readyMs ?? readyMs;
  const deadline = performance.now() + patience;
  for (;;) {
    if (state.ready) return;
    options.signal.throwIfAborted();
    const why = state.ended
      ? "ended at once"
      : performance.now() > deadline
        ? `not ready after ${patience / 1000} s`
        : "";
    if (why !== "") {
      const lines = await lastLines(options.log, 5, from);
      throw new SwainError("PART_NOT_STARTED", [`${options.name}: ${why} (${options.log})`, ...lines].join("\n  "));
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
