// Runs a program beside a pod's own process: with its environment, folder, user and bounds. A terminal comes from `script`
// (util-linux), since Node makes none.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFile, readlink } from "node:fs/promises";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { ExecOptions, ExecRun, OnExecOutput, TerminalSize } from "../driver.ts";
import { checkCommand, start } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { findProgram } from "./programs.ts";

/** A pod that ended takes the programs beside it along; that is looked for this often, milliseconds. */
const lookEvery = 1000;

/** For so long after its end a program's output may be held open by what it left behind, milliseconds. */
const leftBehindMs = 1000;

/** Longer than it takes to read what lies in a pipe already, milliseconds. */
const quietMs = 50;

export interface ExecParts {
  readonly clock: Clock;
  /** Whether the run it belongs to still runs. */
  readonly running: () => Promise<boolean>;
}

/**
 * `launch` is the pod's own, with the program to run as its command. `ended` resolves when what it printed is handed over, too,
 * however long the client takes, who may leave.
 */
export async function runExec(
  parts: ExecParts,
  launch: Launch,
  options: ExecOptions,
  onOutput: OnExecOutput,
): Promise<ExecRun> {
  const refusal = await checkCommand(launch).then(
    () => null,
    (error: unknown) => error,
  );
  if (refusal !== null) return ofNoProgram(refusal);
  const { tty, stdin, signal } = options;
  signal.throwIfAborted();
  const words = [...launch.prefix, ...(tty === null ? launch.command : await inTerminal(launch, tty))];
  const child = await start("COMMAND_NOT_FOUND", words, {
    cwd: launch.folder,
    env: tty === null ? launch.env : { TERM: "xterm", SHELL: "/bin/sh", ...launch.env },
    stdio: [stdin ? "pipe" : "ignore", "pipe", "pipe"],
  });
  const stop = watchOver(parts, child, signal);
  const exited = new Promise<number>((resolve) => {
    child.once("exit", (code, name) => resolve(code ?? 128 + (name === null ? 0 : constants.signals[name])));
  });
  const output = new Output(child, onOutput);
  // A program that ended reads no more; its end is told by `ended`.
  child.stdin?.on("error", () => {});
  return {
    write: (data) =>
      new Promise((resolve) => {
        if (child.stdin?.writable === true) child.stdin.write(data, () => resolve());
        else resolve();
      }),
    endInput: () => void child.stdin?.end(),
    resize: (size) => (tty === null ? Promise.resolve() : resize(child, size)),
    // What it left behind may hold its output open: it has a moment, and is ended.
    ended: exited.then(async (code) => {
      await Promise.race([output.ended, sleep(parts.clock, leftBehindMs)]).finally(stop);
      await output.settled(parts.clock);
      signal.throwIfAborted();
      return code;
    }),
  };
}

/** Refused as an engine does it: only when it was to run. */
function ofNoProgram(refusal: unknown): ExecRun {
  const nothing = async (): Promise<void> => {};
  return { write: nothing, endInput: () => {}, resize: nothing, ended: Promise.reject(refusal) };
}

/** Ends the program when the session or the pod does. */
function watchOver({ clock, running }: ExecParts, child: ChildProcess, signal: AbortSignal): () => void {
  const end = (): void => void endAll(child);
  signal.addEventListener("abort", end, { once: true });
  // The client may have left while it started.
  if (signal.aborted) end();
  const cancel = clock.every(lookEvery, () => {
    void running().then((runs) => {
      if (!runs) end();
    }, end);
  });
  return () => {
    cancel();
    signal.removeEventListener("abort", end);
    // Whatever it left behind in its group goes with it.
    end();
  };
}

/** Everything it started: its group, and what `script` put into a session of its own. */
async function endAll({ pid }: ChildProcess): Promise<void> {
  if (pid === undefined) return;
  const inner = await innerOf(pid);
  for (const group of inner === null ? [pid] : [inner, pid]) {
    try {
      process.kill(-group, "SIGKILL");
    } catch {
      // Gone already.
    }
  }
}

/** The first child of a process, null when it has none. */
async function innerOf(pid: number): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const [first] = text.trim().split(" ");
  return first === undefined || first === "" ? null : Number(first);
}

async function inTerminal({ command }: Launch, size: TerminalSize): Promise<string[]> {
  const script = await findProgram("script");
  if (script === null) throw new SwainError("EXEC_UNSUPPORTED", "this node has no `script` to make a terminal with");
  const stty = await findProgram("stty");
  const sized = stty === null ? "" : `${stty} cols ${size.columns} rows ${size.rows}; `;
  // `script` hands a line to a shell, so every word is quoted.
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return [script, "--quiet", "--return", "--flush", "--command", `${sized}exec ${words.join(" ")}`, "/dev/null"];
}

/** A size that is not taken spoils the picture, not the session. */
async function resize({ pid }: ChildProcess, { columns, rows }: TerminalSize): Promise<void> {
  const inner = pid === undefined ? null : await innerOf(pid);
  const terminal = inner === null ? "" : await readlink(`/proc/${inner}/fd/0`).catch(() => "");
  const stty = await findProgram("stty");
  if (!terminal.startsWith("/dev/pts/") || stty === null) return;
  const setting = spawn(stty, ["-F", terminal, "cols", String(columns), "rows", String(rows)], { stdio: "ignore" });
  await new Promise<void>((resolve) => {
    setting.once("error", () => resolve());
    setting.once("exit", () => resolve());
  });
}

/** Both output streams of a program on their way to the client, who may be slow to take them. */
class Output {
  /** Resolves when nobody can print any more; rejects when the client is gone. */
  readonly ended: Promise<unknown>;
  private begun = 0;
  private handed = 0;

  constructor({ stdout, stderr }: ChildProcess, onOutput: OnExecOutput) {
    this.ended = Promise.all([
      this.pump(stdout, (data) => onOutput("stdout", data)),
      this.pump(stderr, (data) => onOutput("stderr", data)),
    ]);
    // A client that leaves breaks it off before the program has ended and anybody waits for this.
    this.ended.catch(() => {});
  }

  /** Resolves when all that was printed is handed over, also where a process that left the group holds the streams open. */
  async settled(clock: Clock): Promise<void> {
    const ended = this.ended.then(() => true);
    const quiet = async (): Promise<boolean> => {
      const before = this.handed;
      await sleep(clock, quietMs);
      return this.begun === before;
    };
    while (!(await Promise.race([ended, quiet()])));
  }

  private async pump(stream: Readable | null, handle: (data: Uint8Array) => Promise<void>): Promise<void> {
    for await (const chunk of stream ?? []) {
      this.begun += 1;
      await handle(chunk as Buffer);
      this.handed += 1;
    }
  }
}
