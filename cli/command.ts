// What a command of the CLI is made of. A file of commands/ exports one as its default; `dispatch.ts` loads it lazily,
// checks its arguments strictly and runs it. Nothing here knows NATS, so that --help stays fast.
import { defineCommand } from "citty";
import type { ArgsDef, CommandDef } from "citty";

/** Where a command writes to and reads from. */
export interface Terminal {
  /** Writes to standard output as it is: lines bring their own end. */
  out(text: string): void;
  /** Writes to standard error: progress, warnings, errors. */
  err(text: string): void;
  /** From now on what cannot be written is dropped, for a command that runs what matters more than its lines; else it ends the command. */
  dropUnwritable(): void;
  /** Resolves when standard output can take more. */
  drained(): Promise<void>;
  /** All of standard input. */
  input(): Promise<string>;
  /** True when standard output is a terminal. */
  readonly interactive: boolean;
  /** Columns of standard error when it is a terminal on which a line can be drawn again, else null. */
  readonly columns: number | null;
  /** True when colours may be used. */
  readonly color: boolean;
}

/** One invocation of a command. */
export interface Call {
  /** The value of an option given once; the last one when repeated. */
  option(name: string): string | undefined;
  /** Every value of a repeatable option, in order. */
  options(name: string): readonly string[];
  flag(name: string): boolean;
  /** Words that are no options; after `--` all of them. */
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface SwainCommand extends CommandDef {
  readonly examples: readonly string[];
}

export interface CommandParts {
  readonly name: string;
  readonly description: string;
  readonly examples: readonly string[];
  /** A last positional whose name ends with `...` takes all the words that are left. */
  readonly args: ArgsDef;
  /** Returns the exit code, 0 when it returns nothing; throws SwainError. */
  readonly run: (call: Call) => Promise<number | void>;
}

/** Makes a command for `dispatch.ts`. */
export function command(parts: CommandParts): SwainCommand {
  const { name, description, examples, args, run } = parts;
  const definition = defineCommand({
    meta: { name, description },
    args,
    run: async ({ data }: { data?: unknown }) => run(data as Call),
  });
  return { ...(definition as CommandDef), examples };
}
