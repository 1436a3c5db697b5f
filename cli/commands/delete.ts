import type { Accepted } from "../../schemas/generated/types.ts";
import { defaultNamespace } from "../../services/core/defaults.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { clusterArgs } from "../settings.ts";
import { waitArgs, waitIfAsked } from "../wait-option.ts";
import type { Goal } from "../goals.ts";
import { fileArg } from "./apply.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "delete",
  description: "Delete objects, by manifest or by name; a workload's pods stop",
  examples: ["swain delete -f web.yaml", "swain delete workload/web --wait", "swain delete service/web -n shop"],
  args: {
    object: { type: "positional", required: false, description: "workload/NAME, service/NAME or autoscaler/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    ...fileArg,
    ...waitArgs,
    ...namespaceArg,
    ...clusterArgs,
  },
  run: remove,
});

async function remove(call: Call): Promise<number> {
  const goals = await goalsOfCall(call);
  return withClient(call, async (client) => {
    let missing = 0;
    let last: Accepted | undefined;
    const deleted: Goal[] = [];
    for (const goal of goals) {
      const { kind, namespace, name } = goal;
      try {
        last = await client.change(namespace, kind, "delete", { name });
        deleted.push(goal);
        call.terminal.out(`${kind} ${namespace}/${name} deleted\n`);
      } catch (error) {
        // One that is not there does not keep the others; told at once, and by the exit code.
        if (!(error instanceof SwainError) || error.code !== "NOT_FOUND" || goals.length === 1) throw error;
        call.terminal.err(`${kind} ${namespace}/${name} is not there\n`);
        missing += 1;
      }
    }
    if (last !== undefined) await waitIfAsked(call, client, last, deleted);
    return missing > 0 ? 3 : 0;
  });
}

async function goalsOfCall(call: Call): Promise<Goal[]> {
  const sources = call.options("file");
  if (sources.length === 0) {
    const { resource, name } = parseObject(call.positionals[0], call.positionals[1]);
    if (resource !== "workload" && resource !== "service" && resource !== "autoscaler") {
      throw new SwainError("INVALID_ARGUMENT", `workloads, services and autoscalers are deleted, no ${resource}s`);
    }
    return [{ kind: resource, namespace: namespaceOf(call), name, until: "gone" }];
  }
  if (call.positionals.length > 0) throw new SwainError("INVALID_ARGUMENT", "give either -f or KIND/NAME, not both");
  const { terminal } = call;
  const { readManifests } = await import("../manifests/read.ts");
  const manifests = await readManifests({ sources, workingDirectory: process.cwd(), input: () => terminal.input() });
  // Last applied, first deleted: services before the workloads they select, as files usually have them.
  return manifests.toReversed().map(({ manifest: { kind, metadata } }) => ({
    kind: kind.toLowerCase() as Goal["kind"],
    namespace: metadata.namespace ?? defaultNamespace,
    name: metadata.name,
    until: "gone",
  }));
}
