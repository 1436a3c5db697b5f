// What the shell may complete. The one file that knows the completion library; loaded by the command `complete`, which the
// scripts of `completion` call at each press of the key.
import { RootCommand } from "@bomb.sh/tab";
import type { Complete } from "@bomb.sh/tab";
import type { ArgDef, ArgsDef, CommandDef } from "citty";
import { commands } from "./commands.ts";
import { shells } from "./completion-scripts.ts";
import { kindWords, parseTarget } from "./kinds.ts";
import type { Resource } from "./kinds.ts";

/** Names of the objects of a kind, for the namespace among the words; empty when no cluster answers soon. */
export type Names = (resource: Resource, words: readonly string[]) => Promise<readonly string[]>;

/** Prints what may stand in the place of the last of the words: `get po`, `describe workload/`. */
export async function printCompletions(words: readonly string[], names: Names): Promise<void> {
  const root = new RootCommand();
  const called = commands.find(({ name }) => words.slice(0, -1).includes(name));
  for (const entry of commands.filter(({ hidden }) => hidden !== true)) {
    const command = root.command(entry.name, entry.summary);
    if (entry !== called) continue;
    // Only the command that is being typed is loaded: this runs at each press of a key.
    const args = await argsOf((await entry.load()).default);
    for (const [name, one] of Object.entries(args)) {
      const alias = [(one as { alias?: string | string[] }).alias ?? []].flat().find((word) => word.length === 1);
      const description = one.description ?? "";
      if (one.type === "positional") continue;
      if (one.type === "boolean") command.option(name, description, ...(alias === undefined ? [] : [alias]));
      else command.option(name, description, (complete) => offer(complete, valuesOf(name, one)), alias);
    }
    const objects = await objectWords(entry.name, args, words, names);
    if (objects.length > 0) command.argument("object", (complete) => offer(complete, objects), true);
  }
  root.parse([...words]);
}

const argsOf = async ({ args }: CommandDef): Promise<ArgsDef> =>
  (typeof args === "function" ? await args() : await args) ?? {};

function offer(complete: Complete, values: readonly (readonly [string, string])[]): void {
  for (const [value, description] of values) complete(value, description);
}

function valuesOf(name: string, one: ArgDef): (readonly [string, string])[] {
  const choices = (one as { options?: string[] }).options ?? (name === "for" ? ["ready", "steady", "deleted"] : []);
  return choices.map((choice) => [choice, ""]);
}

/** Kinds of object, or names once a kind is there: `pod/web-1`, or `web-1` after `pod`. */
async function objectWords(
  command: string,
  args: ArgsDef,
  words: readonly string[],
  names: Names,
): Promise<(readonly [string, string])[]> {
  if (command === "completion") return shells.map((shell) => [shell, `Script for ${shell}`]);
  const positional = Object.entries(args).find(([, { type }]) => type === "positional")?.[0];
  if (positional === undefined || !/^(kind|object|pod)(\.\.\.)?$/.test(positional)) return [];
  const last = words.at(-1) ?? "";
  const before = words.at(-2) ?? "";
  if (last.includes("/")) {
    const [kind = ""] = last.split("/", 1);
    const resource = resourceOf(kind);
    return resource === undefined ? [] : (await names(resource, words)).map((name) => [`${kind}/${name}`, ""]);
  }
  const resource = resourceOf(before);
  if (resource !== undefined && !before.includes("/")) return (await names(resource, words)).map((name) => [name, ""]);
  // `get` lists whole kinds; everything else wants one object.
  return kindWords().map(([one, many]) => (command === "get" ? [many, `All ${many}`] : [`${one}/`, `One ${one}`]));
}

function resourceOf(word: string): Resource | undefined {
  try {
    return parseTarget(word).resource;
  } catch {
    return undefined;
  }
}
