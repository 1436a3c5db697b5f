// Runs a program in a container. The engine turns the connection of the call into the program's streams: raw with a
// terminal, else in frames of both output streams. Its exit code is asked for afterwards.
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { ExecOptions, ExecRun, OnExecOutput, TerminalSize } from "../driver.ts";
import { statusOf } from "./engine.ts";
import { ExecStart } from "./exec-start.ts";
import type { Engine } from "./engine.ts";
import { timeouts } from "./timeouts.ts";

export interface ExecState {
  readonly Running: boolean;
  readonly ExitCode: number | null;
  /** Of the program while it runs; Docker keeps it afterwards, Podman forgets it. */
  readonly Pid: number;
  /** Podman says so of one that ended; before the start its exit code is 0 already. */
  readonly CanRemove: boolean;
}

/** The connection may close a moment before the engine has noted the end. */
const endLooks = { everyMs: 20, times: 250 };

/**
 * Podman knows the program's pid before its monitor passes input on, and has no word for the latter: input that ends within
 * this time could be lost, and the output with it.
 */
const podmanAttachMs = 250;

/** How a connection breaks whose other end was closed while input was on its way. */
const cutOff = new Set(["ECONNRESET", "EPIPE"]);

const headBytes = 8;

/** No frame of an engine is larger: anything else is not a stream of frames. */
const frameBytes = 16 * 1024 * 1024;

interface ExecParts {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Of programs whose session is over, for as long as the engine is asked about them. None rejects. */
  readonly endings: Set<Promise<void>>;
}

/** `id` is a running container of ours. */
export async function runExec(
  parts: ExecParts,
  id: string,
  options: ExecOptions,
  onOutput: OnExecOutput,
): Promise<ExecRun> {
  const { engine, endings } = parts;
  const { command, tty, signal } = options;
  const what = `run a program in ${id}`;
  const exec = await create(engine, id, options).catch((error: unknown) => {
    if (statusOf(error) !== 409) throw error;
    throw new SwainError("NOT_RUNNING_NOW", `container ${id} does not run`, { cause: error });
  });
  signal.throwIfAborted();
  // Not broken off: an engine goes on with a start whose caller has left, and Podman then knows no pid of it.
  const opening = engine.connection({
    what: `${what}: ${command[0] ?? ""}`,
    method: "POST",
    path: `/exec/${exec}/start`,
    body: { Detach: false, Tty: tty !== null, ...consoleSize(tty) },
    timeout: timeouts.streamOpens,
  });
  const broken = (): void => {
    const ending = end(parts, exec, id, opening).finally(() => endings.delete(ending));
    endings.add(ending);
  };
  signal.addEventListener("abort", broken, { once: true });
  const socket = await opening;
  signal.throwIfAborted();
  if (tty !== null) void firstSize(parts, exec, tty, signal);
  const start = new ExecStart(parts, () => look(engine, exec), command[0] ?? "", onOutput);
  const ended = read(socket, tty !== null, (stream, data) => start.take(stream, data, signal))
    .catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    })
    .then(() => {
      start.throwIfRefused();
      return exitCode(parts, exec, signal);
    })
    .finally(() => {
      signal.removeEventListener("abort", broken);
      socket.destroy();
    });
  return {
    write: (data) =>
      new Promise((resolve) => {
        // A program that has ended reads no more; its end is told by `ended`.
        if (socket.writable) socket.write(data, () => resolve());
        else resolve();
      }),
    endInput: () => void endInput(parts, exec, socket, signal),
    resize: async (size) => {
      if (tty !== null) await resize(engine, exec, size);
    },
    ended,
  };
}

async function create(engine: Engine, id: string, { command, tty, stdin }: ExecOptions): Promise<string> {
  const body = {
    AttachStdin: stdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: tty !== null,
    Cmd: command,
    ...consoleSize(tty),
    ...(tty === null ? {} : { Env: ["TERM=xterm"] }),
  };
  const call = { what: `run a program in ${id}`, method: "POST", path: `/containers/${id}/exec`, body } as const;
  return (await engine.ask<{ Id: string }>({ ...call, timeout: timeouts.read })).Id;
}

/** The first size, for engines that take it with the call: Docker from API 1.42, Podman at the start as `h` and `w`. */
const consoleSize = (tty: TerminalSize | null): object =>
  tty === null ? {} : { ConsoleSize: [tty.rows, tty.columns], h: tty.rows, w: tty.columns };

/** Older engines take a size only when the program runs, which is a moment after the connection stands. */
async function firstSize(
  { engine, clock }: { readonly engine: Engine; readonly clock: Clock },
  exec: string,
  size: TerminalSize,
  signal: AbortSignal,
): Promise<void> {
  for (let time = 0; time < endLooks.times && !signal.aborted; time += 1) {
    if (await resize(engine, exec, size)) return;
    await sleep(clock, endLooks.everyMs, signal).catch(() => {});
  }
}

/** False when it was not taken, which spoils the picture, not the session. */
async function resize(engine: Engine, exec: string, { columns, rows }: TerminalSize): Promise<boolean> {
  const query = { w: columns, h: rows };
  const call = { what: "resize a terminal", method: "POST", path: `/exec/${exec}/resize`, query } as const;
  return engine.ask({ ...call, timeout: timeouts.read }).then(
    () => true,
    () => false,
  );
}

function look(engine: Engine, exec: string): Promise<ExecState> {
  const call = {
    what: "inspect a program",
    method: "GET",
    path: `/exec/${exec}/json`,
    timeout: timeouts.read,
  } as const;
  return engine.ask<ExecState>(call);
}

/** An engine takes a half-closed connection for a client that left, until the program runs. */
async function endInput(
  { engine, clock }: ExecParts,
  exec: string,
  socket: Socket,
  signal: AbortSignal,
): Promise<void> {
  const podman = await engine.isPodman().catch(() => false);
  for (let time = 0; time < endLooks.times && !signal.aborted && socket.writable; time += 1) {
    const state = await look(engine, exec).catch(() => null);
    if (state !== null && isOver(state, podman)) break;
    if (state !== null && state.Pid > 0) {
      if (podman) await sleep(clock, podmanAttachMs, signal).catch(() => {});
      break;
    }
    await sleep(clock, endLooks.everyMs, signal).catch(() => {});
  }
  socket.end();
}

const isOver = ({ Running, CanRemove, ExitCode }: ExecState, podman: boolean): boolean =>
  !Running && (podman ? CanRemove : ExitCode !== null);

async function exitCode({ engine, clock }: { engine: Engine; clock: Clock }, exec: string, signal: AbortSignal) {
  for (let time = 0; time < endLooks.times; time += 1) {
    signal.throwIfAborted();
    const { Running, ExitCode } = await look(engine, exec);
    if (!Running && ExitCode !== null) return ExitCode;
    await sleep(clock, endLooks.everyMs, signal);
  }
  throw new SwainError("EXIT_UNOBSERVED", "the program closed its output and runs on; its exit code is not known");
}

/**
 * Ends the program with its session. The engine has no call for that, and a program may not notice that nobody listens. On
 * the engine's own machine it is killed by its pid, if that really belongs to the container; elsewhere its streams close.
 */
async function end(
  { engine, clock }: ExecParts,
  exec: string,
  container: string,
  opening: Promise<Socket>,
): Promise<void> {
  let socket: Socket | undefined;
  try {
    socket = await opening;
    const podman = await engine.isPodman();
    // The connection stands a moment before the program runs.
    for (let time = 0; time < endLooks.times; time += 1) {
      const state = await look(engine, exec);
      if (isOver(state, podman)) return;
      if (state.Running && state.Pid > 1) {
        const groups = await readFile(`/proc/${state.Pid}/cgroup`, "utf8");
        if (groups.includes(container)) process.kill(state.Pid, "SIGKILL");
        return;
      }
      await sleep(clock, endLooks.everyMs);
    }
  } catch {
    // It did not start, has ended, or is out of reach.
  } finally {
    socket?.destroy();
  }
}

/**
 * What the connection brings. A program that ends before it read all its input has the engine cut the connection, which
 * is its end as any other: the exit code tells how it went.
 */
async function* received(socket: Socket): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of socket) yield chunk as Buffer;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (cutOff.has(code) || code === "ERR_STREAM_PREMATURE_CLOSE") return;
    throw new SwainError("ENGINE_ERROR", `the program's connection broke: ${message}`, { cause: error });
  }
}

/** Hands over all output. Resolves at its end. */
async function read(socket: Socket, raw: boolean, onOutput: OnExecOutput): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const bytes of received(socket)) {
    if (raw) {
      await onOutput("stdout", bytes);
      continue;
    }
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= headBytes) {
      const length = rest.readUInt32BE(4);
      if (length > frameBytes) throw new SwainError("ENGINE_ERROR", "the engine's output cannot be read");
      if (rest.length < headBytes + length) break;
      const data = rest.subarray(headBytes, headBytes + length);
      await onOutput(rest[0] === 2 ? "stderr" : "stdout", data);
      rest = rest.subarray(headBytes + length);
    }
  }
}
