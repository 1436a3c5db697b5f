import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { showLogs } from "../log-session.ts";
import { wholeNumber } from "../local/numbers.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "logs",
  description: "Show the output of a pod",
  examples: ["swain logs pod/web-1", "swain logs pod/web-1 -f --tail 20", "swain logs pod/web-1 -c sidecar -n shop"],
  args: {
    pod: { type: "positional", required: false, description: "pod/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    follow: { type: "boolean", alias: "f", description: "Go on and show what comes" },
    tail: { type: "string", valueHint: "N", description: "Begin with the last N lines (default: all that is kept)" },
    container: { type: "string", alias: "c", valueHint: "NAME", description: "One container (default: the first)" },
    ...namespaceArg,
    ...clusterArgs,
  },
  run: logs,
});

const mostTail = 100_000;

async function logs(call: Call): Promise<void> {
  const { resource, name } = parseObject(call.positionals[0], call.positionals[1]);
  if (resource !== "pod") throw new SwainError("INVALID_ARGUMENT", `only pods have output, name one: pod/NAME`);
  const wanted = {
    namespace: namespaceOf(call),
    pod: name,
    container: call.option("container"),
    follow: call.flag("follow"),
    tail: wholeNumber("tail", call.option("tail"), 0, mostTail),
  };
  await withClient(call, (client) => showLogs(call.terminal, client, wanted));
}
