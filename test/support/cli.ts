// Runs the CLI inside the test, with a terminal that remembers what was written.
import type { Terminal } from "../../cli/command.ts";
import { dispatch } from "../../cli/dispatch.ts";

export interface CliRun {
  /** Everything written so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code. */
  readonly done: Promise<number>;
  /** As Ctrl-C would. */
  interrupt(): void;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Holds standard output back until it resolves. */
  readonly drained?: () => Promise<void>;
}

/** Starts a command. Its environment is empty but for what is given, so that nothing of this machine shows through. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliRun {
  const written = { out: "", err: "" };
  const abort = new AbortController();
  const terminal: Terminal = {
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    dropUnwritable: () => {},
    drained: options.drained ?? (() => Promise.resolve()),
    input: async () => options.input ?? "",
    interactive: false,
    columns: null,
    color: false,
  };
  const env = { HOME: "/nonexistent", ...options.env };
  const done = dispatch({ argv: args, terminal, env, signal: abort.signal });
  return {
    stdout: () => written.out,
    stderr: () => written.err,
    done,
    interrupt: () => abort.abort(new Error("interrupted")),
  };
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const run = startCli(args, options);
  const code = await run.done;
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}
