import { setTimeout as after } from "node:timers/promises";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { scopeOf } from "../kinds.ts";
import type { Resource } from "../kinds.ts";
import { naturally } from "../natural.ts";
import { readArguments } from "../strict.ts";
import { clusterArgs } from "../settings.ts";
import { namespaceArg, namespaceOf } from "../kinds.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "complete",
  description: "Print what may stand in the place of the last word; called by the script of `swain completion`",
  examples: ["swain complete -- get po"],
  args: { "words...": { type: "positional", required: false, description: "The words typed so far, after --" } },
  run: complete,
});

/** Somebody waits with a finger on the key; a cluster that is not there offers nothing. */
const patienceMs = 1500;
/** More names than this are no help. */
const mostNames = 200;

async function complete(call: Call): Promise<void> {
  const { printCompletions } = await import("../completion.ts");
  await printCompletions(call.positionals, (resource, words) => names(call, resource, words));
}

async function names(call: Call, resource: Resource, words: readonly string[]): Promise<readonly string[]> {
  if (resource === "event") return [];
  const ended = new AbortController();
  const quiet = { ...call.terminal, err: () => {} };
  const look = withClient({ ...call, ...chosen(words), terminal: quiet, signal: ended.signal }, async (client) => {
    const scope = scopeOf(resource, namespaceOf(chosen(words)));
    const items = await client.list(scope, resource);
    return items.flatMap(({ metadata }) => (metadata as { name?: string } | undefined)?.name ?? []);
  });
  try {
    const found = await Promise.race([look, after(patienceMs, [] as string[], { ref: false })]);
    return found.toSorted(naturally).slice(0, mostNames);
  } catch {
    return [];
  } finally {
    ended.abort(new Error("not in time"));
    look.catch(() => {});
  }
}

/** The options among the words that choose cluster and namespace; what else is there is none of this. */
function chosen(words: readonly string[]): Pick<Call, "option" | "options" | "flag"> {
  const known = { ...clusterArgs, ...namespaceArg };
  const flags = new Set([...Object.keys(known).map((name) => `--${name}`), "-n"]);
  const kept = words.flatMap((word, index) => {
    if ([...flags].some((flag) => word.startsWith(`${flag}=`))) return [word];
    const value = words[index + 1];
    return flags.has(word) && value !== undefined && value !== "" ? [word, value] : [];
  });
  return readArguments(kept, known);
}
