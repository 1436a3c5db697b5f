// Starts a run: checks the command, chooses ports, starts the wrapper.
import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { open, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { SwainError } from "../../../kernel/errors.ts";
import type { Code } from "../../../kernel/errors.ts";
import type { ContainerSpec } from "../driver.ts";
import { portVariables } from "../environment.ts";
import { runMark, runVariable } from "./group.ts";
import { isProgram } from "./programs.ts";
import { fileVariables, prefixOf } from "./sandbox.ts";
import type { ProcessStore, Run } from "./store.ts";
import { wrapperScript } from "./wrapper.ts";

/** What a program gets from the agent's own environment: nothing that holds a credential. */
const passed = ["PATH", "HOME"] as const;

const fallbackPath = "/usr/local/bin:/usr/bin:/bin";

/** Variables of the program, and its folder. */
export interface Launch {
  /** Words before the command that give it its user and bounds; empty when it needs none. */
  readonly prefix: readonly string[];
  readonly command: readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Rejects with SANDBOX_REFUSED or ENV_FILE_FAILED. */
export async function launchOf(id: string, spec: ContainerSpec, run: Run): Promise<Launch> {
  const source = spec.container.process;
  if (!source) throw new SwainError("ENGINE_ERROR", `container ${spec.container.name} has no process to run`);
  const fromFiles = await fileVariables(spec.container);
  const inherited = Object.fromEntries(
    passed.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
  );
  const own = Object.fromEntries((spec.container.env ?? []).map(({ name, value }) => [name, value]));
  const ports = portVariables(run.ports.map(({ name, hostPort }) => ({ name, port: hostPort })));
  return {
    prefix: await prefixOf(spec.container),
    command: source.command,
    folder: resolve(source.workingDir ?? "/"),
    env: {
      PATH: fallbackPath,
      ...inherited,
      ...fromFiles,
      ...own,
      ...spec.env,
      ...ports,
      [runVariable]: runMark(id, run),
    },
  };
}

/** Throws COMMAND_NOT_FOUND, with a shell's exit code for it in `details.exitCode`, unless the folder is there and the command is a file that may be run. */
export async function checkCommand(launch: Launch): Promise<void> {
  const [command = ""] = launch.command;
  const refuse = (why: string, exitCode = 127): never => {
    throw new SwainError("COMMAND_NOT_FOUND", why, { details: { exitCode } });
  };
  const folder = await stat(launch.folder).catch(() => null);
  if (!folder?.isDirectory()) refuse(`the working folder ${launch.folder} is not there`);
  const searched = command.includes("/") ? [""] : (launch.env["PATH"] ?? "").split(delimiter);
  const candidates = searched.map((place) =>
    isAbsolute(command) ? command : resolve(launch.folder, place === "" ? "." : place, command),
  );
  const found = await Promise.all(candidates.map(isProgram));
  if (!found.includes(true)) {
    const there = (await Promise.all(candidates.map((path) => stat(path).catch(() => null)))).some(
      (one) => one !== null,
    );
    const where = command.includes("/") ? "of this node" : "in PATH";
    refuse(`command "${command}" is not a program ${where}`, command !== "" && there ? 126 : 127);
  }
}

/**
 * Starts a program in a session of its own; resolves when it runs. Rejects with `code` and the system's word for what went
 * wrong, and with no more: Node's sentence may hold an argument or the value of a variable.
 */
export async function start(code: Code, words: readonly string[], options: SpawnOptions): Promise<ChildProcess> {
  try {
    const child = spawn(words[0] ?? "", words.slice(1), { ...options, detached: true });
    await new Promise<void>((started, failed) => {
      child.once("spawn", started);
      child.once("error", failed);
    });
    return child;
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "the reason is unknown";
    throw new SwainError(code, `the program could not be started: ${why}`);
  }
}

/** Starts the wrapper, detached: in a session of its own, bound to the agent by nothing. */
export async function launchWrapper(store: ProcessStore, id: string, run: Run, launch: Launch): Promise<ChildProcess> {
  // Append mode: the file is cut short while the program writes, and it must then go on at the new end.
  const stdout = await open(join(store.runFolder(id, run), "stdout.log"), "a", 0o600);
  const stderr = await open(join(store.runFolder(id, run), "stderr.log"), "a", 0o600);
  try {
    const args = ["-c", wrapperScript, "swain-process", store.runFolder(id, run), ...launch.prefix, ...launch.command];
    const child = await start("ENGINE_ERROR", ["/bin/sh", ...args], {
      cwd: launch.folder,
      env: launch.env,
      stdio: ["ignore", stdout.fd, stderr.fd],
    });
    child.unref();
    return child;
  } finally {
    await stdout.close();
    await stderr.close();
  }
}
