import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf } from "../kinds.ts";
import { wholeNumber } from "../local/numbers.ts";
import { outputArg } from "../output/objects.ts";
import type { ObjectView, OutputFormat } from "../output/objects.ts";
import { clusterArgs } from "../settings.ts";
import { showEvents } from "../show-events.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "events",
  description: "Show what happened, and with -f what happens",
  examples: ["swain events", "swain events -f", "swain events -n shop --last 20", "swain events -f -o json"],
  args: {
    follow: { type: "boolean", alias: "f", description: "Go on and show what happens" },
    last: { type: "string", valueHint: "N", description: "Past events to show (default: 100)" },
    ...outputArg,
    namespace: { ...namespaceArg.namespace, description: "Only events of that namespace" },
    "all-namespaces": { type: "boolean", alias: "A", description: "Events of all namespaces (the default)" },
    ...clusterArgs,
  },
  run: events,
});

/** What the leader tells at most. */
const mostEvents = 1000;

async function events(call: Call): Promise<void> {
  const named = call.option("namespace") !== undefined;
  if (named && call.flag("all-namespaces")) throw new SwainError("INVALID_ARGUMENT", "-n and -A exclude each other");
  const last = wholeNumber("last", call.option("last"), 0, mostEvents) ?? 100;
  const view: ObjectView = {
    resource: "event",
    format: (call.option("output") as OutputFormat | undefined) ?? "table",
    namespaced: !named,
    color: call.terminal.color,
    now: Date.now(),
  };
  const filter = { scope: named ? namespaceOf(call) : "_", name: undefined, last };
  await withClient(call, (client) => showEvents(call.terminal, client, { filter, follow: call.flag("follow"), view }));
}
