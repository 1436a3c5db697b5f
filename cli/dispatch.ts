// Finds the command of an argument list, loads it, checks its arguments and runs it; turns every error into a text and
// an exit code. Called by main.ts, and by tests with their own terminal.
import { stripVTControlCharacters } from "node:util";
import { runCommand } from "citty";
import type { ArgsDef, CommandContext, CommandDef } from "citty";
import { didYouMean } from "../services/core/nearest.ts";
import { asSwainError, SwainError } from "../services/kernel/errors.ts";
import { version } from "../services/kernel/version.ts";
import type { Call, Terminal } from "./command.ts";
import { commands } from "./commands.ts";
import { errorText } from "./output/error.ts";
import { readArguments } from "./strict.ts";

export interface Invocation {
  /** Without the interpreter and the program. */
  readonly argv: readonly string[];
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Runs the command and returns the exit code; never rejects. */
export async function dispatch(invocation: Invocation): Promise<number> {
  try {
    return await run(invocation);
  } catch (error) {
    // A command that was interrupted while it waited has nothing to explain.
    if (invocation.signal.aborted && error === invocation.signal.reason) return 130;
    const refused = asRefusal(error);
    invocation.terminal.err(errorText(refused));
    return refused.exit;
  }
}

async function run(invocation: Invocation): Promise<number> {
  const { terminal } = invocation;
  const { name, rest } = splitCommand(invocation.argv);
  const ownArgs = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  const wantsHelp = ownArgs.some((arg) => arg === "--help" || arg === "-h");
  if (name === undefined || (name === "help" && ownArgs.length === 0)) {
    if (name === undefined && !wantsHelp && ownArgs.length > 0) return noCommand(terminal, ownArgs);
    const { overview } = await import("./help.ts");
    terminal.out(overview());
    return 0;
  }
  const wanted = name === "help" ? (ownArgs[0] ?? "") : name;
  const entry = commands.find((known) => known.name === wanted);
  if (entry === undefined) {
    const names = commands.flatMap((known) => (known.hidden === true ? [] : [known.name]));
    throw new SwainError("INVALID_ARGUMENT", `unknown command "${wanted}"${didYouMean(wanted, names)}`);
  }
  const { default: definition } = await entry.load();
  if (wantsHelp || name === "help") {
    const { commandHelp } = await import("./help.ts");
    terminal.out(await commandHelp(definition, terminal.color));
    return 0;
  }
  const { result } = await runCommand(await strictly(definition, invocation), { rawArgs: [...rest] });
  return typeof result === "number" ? result : 0;
}

function noCommand(terminal: Terminal, args: readonly string[]): number {
  if (args.every((arg) => arg === "--version" || arg === "-V")) {
    terminal.out(`${version}\n`);
    return 0;
  }
  throw new SwainError("INVALID_ARGUMENT", `no command given, only ${args.join(" ")}`);
}

/** Options that choose the cluster may stand before the command, too. */
const hoisted = new Set(["--server", "--cluster", "--creds", "--context", "--data"]);

/** `--data D get pods` → get, with `--data D pods`. */
export function splitCommand(argv: readonly string[]): { name: string | undefined; rest: readonly string[] } {
  let index = 0;
  for (; index < argv.length; index++) {
    const arg = argv[index] ?? "";
    if (!arg.startsWith("-") || arg === "--") break;
    if (hoisted.has(arg)) index++;
  }
  const name = argv[index];
  if (name === undefined || name === "--") return { name: undefined, rest: argv };
  return { name, rest: [...argv.slice(0, index), ...argv.slice(index + 1)] };
}

/** The command with the strict reading of its arguments, which gives it its Call, as a plugin. */
async function strictly(definition: CommandDef, { terminal, env, signal }: Invocation): Promise<CommandDef> {
  const { args } = definition;
  const definitions: ArgsDef = (typeof args === "function" ? await args() : await args) ?? {};
  const plugin = {
    name: "strict",
    setup: (context: CommandContext): void => {
      const call: Call = { ...readArguments(context.rawArgs, definitions), terminal, env, signal };
      context.data = call;
    },
  };
  // citty would refuse a wrong choice before the plugin can offer the nearest one.
  const loose = Object.entries(definitions).map(([name, one]) => [
    name,
    one.type === "enum" ? { type: "string" } : one,
  ]);
  return {
    ...definition,
    args: Object.fromEntries(loose) as ArgsDef,
    plugins: [plugin, ...(definition.plugins ?? [])],
  };
}

/** citty's own errors (a missing argument) as ours. */
function asRefusal(error: unknown): SwainError {
  if (error instanceof Error && error.name === "CLIError") {
    return new SwainError("INVALID_ARGUMENT", stripVTControlCharacters(error.message), { cause: error });
  }
  return asSwainError(error);
}
