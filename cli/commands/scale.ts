import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { wholeNumber } from "../local/numbers.ts";
import { harmless } from "../output/table.ts";
import { clusterArgs } from "../settings.ts";
import { goalsOf, waitArgs, waitIfAsked } from "../wait-option.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "scale",
  description: "Change how many pods a workload has",
  examples: ["swain scale workload/web --replicas 5", "swain scale workload/web --replicas 0 --wait -n shop"],
  args: {
    object: { type: "positional", required: false, description: "workload/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    replicas: { type: "string", valueHint: "K", description: "How many pods (0 to 10000)" },
    ...waitArgs,
    ...namespaceArg,
    ...clusterArgs,
  },
  run: scale,
});

async function scale(call: Call): Promise<void> {
  const { resource, name } = parseObject(call.positionals[0], call.positionals[1]);
  if (resource !== "workload") throw new SwainError("INVALID_ARGUMENT", `only workloads are scaled, no ${resource}s`);
  const namespace = namespaceOf(call);
  const replicas = wholeNumber("replicas", call.option("replicas"), 0, 10_000);
  if (replicas === undefined) throw new SwainError("INVALID_ARGUMENT", "say how many: --replicas K");
  await withClient(call, async (client) => {
    const accepted = await client.change(namespace, "workload", "scale", { name, replicas });
    call.terminal.out(`workload ${namespace}/${name} scaled to ${replicas}\n`);
    for (const { note } of accepted.results) if (note !== undefined) call.terminal.err(`${harmless(note)}\n`);
    const goals = goalsOf([{ kind: "workload", namespace, name, action: "scaled" }], "settled");
    await waitIfAsked(call, client, accepted, goals);
  });
}
