import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject, scopeOf } from "../kinds.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { clusterArgs } from "../settings.ts";
import { story } from "../story.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "describe",
  description: "Tell the story of one object: what it should be, what it is, why, and what happened last",
  examples: ["swain describe workload/web", "swain describe pod/web-3 -n shop", "swain describe node/node-1"],
  args: {
    object: { type: "positional", required: false, description: "KIND/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    ...namespaceArg,
    ...clusterArgs,
  },
  run: describe,
});

async function describe(call: Call): Promise<void> {
  const { resource, name } = parseObject(call.positionals[0], call.positionals[1]);
  if (resource === "event") throw new SwainError("INVALID_ARGUMENT", "events are listed: swain get events");
  const namespace = namespaceOf(call);
  await withClient(call, async (client) => {
    const object = await client.get(scopeOf(resource, namespace), resource, name);
    call.terminal.out(await story(client, { resource, namespace, name, object, color: call.terminal.color }));
  });
}
