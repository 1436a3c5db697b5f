import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { showLogs } from "../log-session.ts";
import { wholeNumber } from "../local/numbers.ts";
import { clusterArgs } from "../settings.ts";
import { sinceOf } from "../since.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "logs",
  description: "Show the output of a pod, or of all pods of a workload in the order of time",
  examples: [
    "swain logs workload/web -f",
    "swain logs pod/web-1",
    "swain logs pod/web-1 -f --tail 20",
    "swain logs pod/web-1 -c sidecar -n shop",
    "swain logs pod/web-1 --since 10m --timestamps",
    "swain logs pod/web-1 --previous",
  ],
  args: {
    object: { type: "positional", required: false, description: "pod/NAME or workload/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    follow: { type: "boolean", alias: "f", description: "Go on and show what comes" },
    tail: {
      type: "string",
      valueHint: "N",
      description: "Begin with the last N lines of each pod (default: all that is kept)",
    },
    since: {
      type: "string",
      valueHint: "AGE|TIME",
      description: "Only what is at most so old (10m), or from a time on",
    },
    previous: { type: "boolean", alias: "p", description: "The run before the newest one, after a restart" },
    timestamps: { type: "boolean", description: "Begin each line with the time it was written" },
    prefix: {
      type: "boolean",
      default: true,
      description: "Begin each line of a workload's output with its pod",
      negativeDescription: "Leave the pod away from the lines of a workload",
    },
    container: { type: "string", alias: "c", valueHint: "NAME", description: "One container (default: the first)" },
    ...namespaceArg,
    ...clusterArgs,
  },
  run: logs,
});

const mostTail = 100_000;

async function logs(call: Call): Promise<number | void> {
  const { resource, name } = parseObject(call.positionals[0], call.positionals[1]);
  if (resource !== "pod" && resource !== "workload") {
    throw new SwainError(
      "INVALID_ARGUMENT",
      "only pods have output: name pod/NAME, or workload/NAME for all of its pods",
    );
  }
  if (call.flag("previous") && call.flag("follow")) {
    throw new SwainError("INVALID_ARGUMENT", "an earlier run is over: --previous and -f exclude each other");
  }
  const wanted = {
    namespace: namespaceOf(call),
    container: call.option("container"),
    follow: call.flag("follow"),
    tail: wholeNumber("tail", call.option("tail"), 0, mostTail),
    since: sinceOf(call.option("since")),
    previous: call.flag("previous"),
    timestamps: call.flag("timestamps"),
  };
  return withClient(call, async (client) => {
    if (resource === "pod") return showLogs(call.terminal, client, { ...wanted, pod: name });
    const { showWorkloadLogs } = await import("../workload-logs.ts");
    return showWorkloadLogs(call.terminal, client, { ...wanted, workload: name, prefix: call.flag("prefix") });
  });
}
