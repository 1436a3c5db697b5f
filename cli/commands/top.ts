import type { TopItem } from "../../schemas/generated/types.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseTarget } from "../kinds.ts";
import { topTable } from "../output/top.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "top",
  description: "Show what nodes or pods use, the busiest first",
  examples: ["swain top nodes", "swain top pods", "swain top pods -A", "swain top pods -n shop -o json"],
  args: {
    kind: { type: "positional", required: false, description: "nodes or pods" },
    output: { type: "enum", alias: "o", options: ["table", "json"], description: "Form of the output" },
    ...namespaceArg,
    "all-namespaces": { type: "boolean", alias: "A", description: "Pods of every namespace" },
    ...clusterArgs,
  },
  run: top,
});

async function top(call: Call): Promise<void> {
  const { resource, name } = parseTarget(call.positionals[0]);
  if ((resource !== "pod" && resource !== "node") || name !== undefined) {
    throw new SwainError("INVALID_ARGUMENT", "say whose use: `top nodes` or `top pods`");
  }
  const all = call.flag("all-namespaces");
  const scope = resource === "node" || all ? "_" : namespaceOf(call);
  await withClient(call, async (client) => {
    const items = (await client.list(scope, resource, {}, "top")) as unknown as TopItem[];
    const sorted = items.toSorted(byUse);
    const { terminal } = call;
    if (call.option("output") === "json") terminal.out(`${JSON.stringify({ items: sorted }, null, 2)}\n`);
    else if (sorted.length === 0) terminal.err(`No ${resource}s${scope === "_" ? "" : ` in namespace ${scope}`}.\n`);
    else terminal.out(topTable(resource, sorted, { namespaced: all, color: terminal.color }));
  });
}

/** The busiest first, those without figures last, then by name. */
function byUse(a: TopItem, b: TopItem): number {
  const cpu = (b.use?.cpuMillis ?? -1) - (a.use?.cpuMillis ?? -1);
  const memory = (b.use?.memoryBytes ?? -1) - (a.use?.memoryBytes ?? -1);
  const idOf = ({ namespace = "", name }: TopItem): string => `${namespace}/${name}`;
  return cpu || memory || (idOf(a) < idOf(b) ? -1 : 1);
}
