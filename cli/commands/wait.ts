import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { durationMs } from "../durations.ts";
import { parseUntil } from "../goals.ts";
import type { Goal } from "../goals.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { clusterArgs } from "../settings.ts";
import { waitArgs } from "../wait-option.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "wait",
  description: "Wait until objects are as they should be: exit code 0 when it was observed, 5 when it was not in time",
  examples: [
    "swain wait workload/web",
    "swain wait workload/web workload/db --for ready --timeout 60s",
    "swain wait pod/web-1 --for state=running",
    "swain wait service/web --for count=2",
    "swain wait workload/web --for deleted -n shop",
    "swain wait node/node-1 --for ready",
  ],
  args: {
    "object...": { type: "positional", required: false, description: "KIND/NAME, one or more" },
    for: {
      type: "string",
      valueHint: "WHAT",
      description:
        "ready (the default): workload with all pods ready, pod, node, service with an endpoint and its proxies listening; steady: nothing left to do; " +
        "deleted; state=STATE; count=N: at least N ready pods or endpoints",
    },
    timeout: waitArgs.timeout,
    ...namespaceArg,
    ...clusterArgs,
  },
  run: wait,
});

/** More would be asked for one by one, again at each change. */
const mostObjects = 100;

async function wait(call: Call): Promise<void> {
  const goals = goalsOfCall(call);
  const { defaultWaitMs, waitForGoals } = await import("../wait.ts");
  const timeoutMs = durationMs(call, "timeout") ?? defaultWaitMs;
  await withClient(call, async (client) => {
    await waitForGoals(call.terminal, client, goals, { timeoutMs, minSeq: 0, mustExist: true });
  });
}

function goalsOfCall(call: Call): Goal[] {
  const words = call.positionals;
  const [first, second] = words;
  const pair = words.length === 2 && first?.includes("/") === false;
  const named = pair ? [parseObject(first, second)] : words.map((word) => parseObject(word));
  if (named.length === 0) throw new SwainError("INVALID_ARGUMENT", "say what to wait for: KIND/NAME");
  if (named.length > mostObjects) throw new SwainError("INVALID_ARGUMENT", `wait for ${mostObjects} objects at most`);
  const namespace = namespaceOf(call);
  return named.map(({ resource, name }) => {
    if (resource === "event") throw new SwainError("INVALID_ARGUMENT", "events are followed: swain events -f");
    return { kind: resource, namespace, name, until: parseUntil(call.option("for") ?? "ready", resource) };
  });
}
