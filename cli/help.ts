// The texts of --help: an overview of all commands, and one command with its options and examples.
import { renderUsage } from "citty";
import type { CommandDef } from "citty";
import { stripVTControlCharacters } from "node:util";
import { commands } from "./commands.ts";
import type { SwainCommand } from "./command.ts";

/** `swain --help`. Loads no command. */
export function overview(): string {
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const width = Math.max(...shown.map(({ name }) => name.length));
  const groups = [...new Set(shown.map(({ group }) => group))];
  const sections = groups.map((group) => {
    const lines = shown
      .filter((entry) => entry.group === group)
      .map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
    return [`${group}:`, ...lines].join("\n");
  });
  return `Swain runs containers and processes on one machine or thousands, over NATS.

Usage: swain COMMAND [ARGUMENTS] [OPTIONS]

${sections.join("\n\n")}

Which cluster: --server, --cluster, --creds, --context or --data, on every command; then SWAIN_SERVER, SWAIN_CLUSTER,
SWAIN_CREDS and SWAIN_DATA; then the selected context of the \`nats\` CLI; then what \`swain up\` started here.

Examples:
  swain up --nodes 3 --detach
  swain apply -f examples/hello --wait
  swain get pods -w

\`swain COMMAND --help\` tells more of one command.
`;
}

/** `swain COMMAND --help`. */
export async function commandHelp(definition: CommandDef, color: boolean): Promise<string> {
  const usage = await renderUsage(definition, { meta: { name: "swain" } });
  const examples = (definition as Partial<SwainCommand>).examples ?? [];
  const shown = examples.length === 0 ? "" : `\nEXAMPLES\n\n${examples.map((line) => `  ${line}`).join("\n")}\n`;
  const text = `${usage.replaceAll(/[ \t]+$/gm, "").trimEnd()}\n${shown}`;
  return color ? text : stripVTControlCharacters(text);
}
