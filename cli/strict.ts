// Reads a command's raw arguments again and refuses what citty lets pass: unknown options, values where none belong,
// missing values, too many words. Keeps repeated options.
import { parseArgs } from "node:util";
import type { ArgDef, ArgsDef } from "citty";
import { nearest } from "../services/core/nearest.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { Call } from "./command.ts";

type Arguments = Pick<Call, "option" | "options" | "flag" | "positionals">;

/** All mistakes as one error. */
function refusal(mistakes: readonly string[]): SwainError {
  const [first = ""] = mistakes;
  if (mistakes.length === 1) return new SwainError("INVALID_ARGUMENT", first);
  const located = mistakes.map((message) => ({ message }));
  return new SwainError("INVALID_ARGUMENT", `${mistakes.length} mistakes in the command line`, {
    details: { located },
  });
}

const unknownOption = "unknown option ";

const aliasesOf = (definition: ArgDef): readonly string[] => {
  const { alias } = definition as { alias?: string | string[] };
  return alias === undefined ? [] : typeof alias === "string" ? [alias] : alias;
};

/** The arguments by their definitions. Throws INVALID_ARGUMENT with everything that is wrong. */
export function readArguments(rawArgs: readonly string[], definitions: ArgsDef): Arguments {
  const named = Object.entries(definitions).filter(([, definition]) => definition.type !== "positional");
  const words = Object.entries(definitions).filter(([, definition]) => definition.type === "positional");
  const nameOf = new Map(
    named.flatMap(([name, definition]) => [name, ...aliasesOf(definition)].map((known) => [known, name])),
  );
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  const mistakes: string[] = [];
  for (const token of tokensOf(rawArgs, named)) {
    if (token.kind === "positional") positionals.push(token.value);
    else if (token.kind === "option") mistakes.push(...readOption(token, nameOf, definitions, values));
  }
  // A word after an option that is not known is most likely its value.
  const misread = mistakes.some((mistake) => mistake.startsWith(unknownOption));
  const endless = words.at(-1)?.[0].endsWith("...") === true;
  const surplus = endless ? undefined : positionals[words.length];
  if (surplus !== undefined && !misread) mistakes.push(`"${surplus}" is one argument too many`);
  for (const [name, definition] of named) {
    const given = values.get(name);
    if (given === undefined && definition.default !== undefined) values.set(name, [String(definition.default)]);
    mistakes.push(...wrongChoices(name, definition, given ?? []));
  }
  if (mistakes.length > 0) throw refusal(mistakes);
  const options = (name: string): readonly string[] => values.get(name) ?? [];
  const option = (name: string): string | undefined => options(name).at(-1);
  return { options, option, flag: (name) => option(name) === "true", positionals };
}

/** What parseArgs reads from the command line; its own type depends on the options it is called with. */
interface OptionToken {
  readonly kind: "option";
  readonly name: string;
  readonly rawName: string;
  readonly value?: string;
  readonly inlineValue?: boolean;
}
type Token =
  | OptionToken
  | { readonly kind: "positional"; readonly value: string }
  | { readonly kind: "option-terminator" };

function tokensOf(rawArgs: readonly string[], named: readonly [string, ArgDef][]): readonly Token[] {
  const options: Record<string, { type: "boolean" | "string"; short?: string }> = {};
  for (const [name, definition] of named) {
    const type = definition.type === "boolean" ? "boolean" : "string";
    options[name] = { type };
    for (const alias of aliasesOf(definition)) {
      if (alias.length === 1) options[name].short = alias;
      else options[alias] = { type };
    }
  }
  const parsed = parseArgs({ args: [...rawArgs], options, strict: false, allowPositionals: true, tokens: true });
  return parsed.tokens as readonly Token[];
}

/** Takes the option into the values; gives what is wrong with it. */
function readOption(
  token: OptionToken,
  nameOf: ReadonlyMap<string, string>,
  definitions: ArgsDef,
  values: Map<string, string[]>,
): string[] {
  const negated = token.name.startsWith("no-") ? nameOf.get(token.name.slice(3)) : undefined;
  const name = nameOf.get(token.name) ?? negated;
  if (name === undefined) {
    const known = [...nameOf.keys()].filter((option) => option.length > 1);
    const meant = token.name.length > 1 ? nearest(token.name, known) : undefined;
    return [`${unknownOption}${token.rawName}${meant === undefined ? "" : `; did you mean --${meant}?`}`];
  }
  const list = values.get(name) ?? [];
  values.set(name, list);
  if (definitions[name]?.type === "boolean") {
    const value = token.value ?? (nameOf.has(token.name) ? "true" : "false");
    if (value !== "true" && value !== "false") return [`${token.rawName} takes no value, but "${value}" was given`];
    list.push(value);
    return [];
  }
  if (nameOf.get(token.name) === undefined) return [`${unknownOption}${token.rawName}`];
  // A following option is never meant as a value: `--server --wait` has forgotten it. A lone `-` is standard input.
  const forgotten =
    token.value === undefined || (!token.inlineValue && /^-./.test(token.value) && !/^-\d/.test(token.value));
  if (forgotten) return [`${token.rawName} needs a value`];
  list.push(token.value ?? "");
  return [];
}

function wrongChoices(name: string, definition: ArgDef, given: readonly string[]): string[] {
  const choices = (definition as { options?: string[] }).options;
  if (choices === undefined) return [];
  return given.flatMap((value) => {
    if (choices.includes(value)) return [];
    const meant = nearest(value, choices);
    const help = meant === undefined ? `one of ${choices.join(", ")}` : `did you mean ${meant}?`;
    return [`"${value}" is no value of --${name}; ${help}`];
  });
}
