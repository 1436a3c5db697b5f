// Runs one nats-server as a child process. Restarting it is the business of who calls: `swain up`'s supervisor, and tests.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { SwainError } from "../../kernel/errors.ts";
import { makeFolder } from "../../kernel/node/folder.ts";
import { tlsOptions } from "../tls.ts";

export interface StartOptions {
  /** The program, as `resolveServer` found it. */
  readonly program: string;
  /** A configuration file, as `configText` makes it. */
  readonly config: string;
  /** Where it listens, such as `nats://127.0.0.1:4222`. */
  readonly url: string;
  /** File its log is appended to. */
  readonly log: string;
  /** File its process id is written to. */
  readonly pidFile: string;
  /** The authority of a server that speaks TLS, PEM. */
  readonly ca?: string | undefined;
  /** Where it binds, when that is not the host of `url`. */
  readonly host?: string | undefined;
  /** Seed of a user that may ask `$JS.API.INFO`. */
  readonly seed: Uint8Array;
  /** Told as soon as there is a process, so that it is on record before it is ready. */
  readonly onSpawn?: (pid: number) => void;
  /** Told once when it is slow to listen. */
  readonly onSlow?: () => void;
  readonly signal?: AbortSignal | undefined;
}

export interface EmbeddedServer {
  readonly pid: number;
  /** Resolves when the process has ended, with how. */
  readonly closed: Promise<string>;
  /** Ends it: politely, after 10 s by force. */
  stop(): Promise<void>;
}

/** One that listens answers at once; beyond this something is wrong. */
const answerMs = 30_000;
/** It listens when it has recovered its store: gigabytes after a crash, from a slow disk. Ended before that, it would begin anew each time. */
const listenMs = 1_200_000;
const stopMs = 10_000;

/**
 * Starts the server and resolves when JetStream answers. Rejects with PORT_IN_USE or NATS_UNREACHABLE, the reason taken
 * from the server's log; nothing is left running then.
 */
export async function startServer(options: StartOptions): Promise<EmbeddedServer> {
  options.signal?.throwIfAborted();
  makeFolder(dirname(options.log));
  // A server of an earlier run would answer in the place of the new one.
  if (!(await canBind(options))) throw new SwainError("PORT_IN_USE", `something listens at ${options.url} already`);
  const log = openSync(options.log, "a", 0o600);
  // The server makes its files readable by the group, and the umask is the only way to have them private. The shell is
  // replaced by the server, so the process id stays. In a group of its own: Ctrl-C must reach the supervisor alone, which
  // stops the rest in order.
  const server = [options.program, "-c", options.config, "-P", options.pidFile];
  const child = spawn("/bin/sh", ["-c", 'umask 077; exec "$0" "$@"', ...server], {
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  const closed = ended(child);
  if (child.pid !== undefined) options.onSpawn?.(child.pid);
  const stop = (): Promise<void> => stopChild(child, closed);
  try {
    await Promise.race([
      answering(options),
      closed.then(async (how) => {
        throw await notStarted(options, how);
      }),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid ?? 0, closed, stop };
}

function canBind({ url, host }: StartOptions): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(Number(port), host ?? hostname.replace(/^\[|\]$/g, ""), () => probe.close(() => resolve(true)));
  });
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(code === null ? `ended by ${signal}` : `exit code ${code}`));
  });
}

async function stopChild(child: ChildProcess, closed: Promise<string>): Promise<void> {
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), stopMs);
  await closed;
  clearTimeout(force);
}

/** Asks JetStream until it answers. The client is loaded here, so that whoever only names servers does not pay for it. */
async function answering(options: StartOptions): Promise<void> {
  const { connect, nkeyAuthenticator } = await import("nats");
  const { jetstreamManager } = await import("@nats-io/jetstream");
  const tls = await tlsOptions([options.url], undefined, options.ca);
  const began = performance.now();
  let deadline = began + listenMs;
  let slowAt = began + answerMs;
  let last: unknown;
  while (performance.now() < deadline) {
    options.signal?.throwIfAborted();
    if (performance.now() > slowAt) {
      slowAt = Infinity;
      options.onSlow?.();
    }
    try {
      const connection = await connect({
        servers: options.url,
        authenticator: nkeyAuthenticator(options.seed),
        reconnect: false,
        timeout: 2000,
        name: "swain up",
        ...(tls === undefined ? {} : { tls }),
      });
      try {
        await (await jetstreamManager(connection, { timeout: 2000 })).getAccountInfo();
        return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      last = error;
      if (!isRefused(error)) deadline = Math.min(deadline, performance.now() + answerMs);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  throw new SwainError("NATS_UNREACHABLE", `nats-server at ${options.url} gave no answer in ${seconds} s`, {
    cause: last,
  });
}

/** Nobody listens there. */
const isRefused = (error: unknown): boolean =>
  error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ECONNREFUSED";

async function notStarted(options: StartOptions, how: string): Promise<SwainError> {
  const text = await tail(options.log);
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const reason = lines.findLast((line) => /\[FTL\]|\[ERR\]|nats-server:/.test(line)) ?? lines.at(-1) ?? "";
  const code = /address already in use/i.test(reason) ? "PORT_IN_USE" : "NATS_UNREACHABLE";
  return new SwainError(code, `nats-server did not start at ${options.url} (${how}): ${reason.trim()}`);
}

/** The last 4 KiB of a file; empty when it is not there. */
async function tail(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const length = Math.min(size, 4096);
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.toString();
    } finally {
      await file.close();
    }
  } catch {
    return "";
  }
}
