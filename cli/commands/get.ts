import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { fetchObjects, unreachedBy } from "../fetch.ts";
import { namespaceArg, namespaceOf, parseTarget, scopeOf } from "../kinds.ts";
import { objectsText, outputArg } from "../output/objects.ts";
import type { ObjectView, OutputFormat } from "../output/objects.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "get",
  description: "List objects: pods, workloads, services, autoscalers, nodes, events",
  examples: [
    "swain get pods",
    "swain get pods -A -o wide",
    "swain get workload/web -o yaml",
    "swain get nodes -o name",
    "swain get pods -w",
    "swain get events -n shop -o json",
  ],
  args: {
    kind: { type: "positional", required: false, description: "What to list: KIND or KIND/NAME" },
    name: { type: "positional", required: false, description: "One object of that kind" },
    ...outputArg,
    ...namespaceArg,
    "all-namespaces": { type: "boolean", alias: "A", description: "Objects of every namespace" },
    watch: { type: "boolean", alias: "w", description: "Go on and show what changes" },
    ...clusterArgs,
  },
  run: get,
});

/** Past events that a list of them shows. */
const lastEvents = 100;

const isTable = (format: OutputFormat): boolean => format === "table" || format === "wide";

async function get(call: Call): Promise<void> {
  const { resource, name } = parseTarget(call.positionals[0], call.positionals[1]);
  const all = call.flag("all-namespaces");
  const scope = scopeOf(resource, all ? "_" : namespaceOf(call));
  const format = (call.option("output") as OutputFormat | undefined) ?? "table";
  const view: ObjectView = { resource, format, namespaced: all, color: call.terminal.color, now: Date.now() };
  await withClient(call, async (client) => {
    if (resource === "event") {
      const filter = { scope, name, last: lastEvents };
      const { showEvents } = await import("../show-events.ts");
      await showEvents(call.terminal, client, { filter, follow: call.flag("watch"), view });
      return;
    }
    if (call.flag("watch")) {
      const { watchObjects } = await import("../watch.ts");
      await watchObjects(call.terminal, client, { scope, name, view });
      return;
    }
    const objects = await fetchObjects(client, resource, scope, name);
    if (objects.length === 0 && isTable(format)) {
      call.terminal.err(`No ${resource}s${scope === "_" ? "" : ` in namespace ${scope}`}.\n`);
      return;
    }
    const unreached = resource === "service" && isTable(format) ? { unreached: await unreachedBy(client) } : {};
    call.terminal.out(await objectsText(objects, { ...view, ...unreached }, name !== undefined));
  });
}
