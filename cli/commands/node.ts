import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { joinTokenArgs, printJoinToken } from "../join-token.ts";
import { clusterArgs } from "../settings.ts";

export default command({
  name: "node",
  description: "node join-token: print the line that lets another machine join this cluster",
  examples: ["swain node join-token", "swain node join-token --role proxy --ttl 10m --uses 3"],
  args: {
    action: { type: "positional", required: false, description: "join-token" },
    ...joinTokenArgs,
    ...clusterArgs,
  },
  run: node,
});

async function node(call: Call): Promise<void> {
  if (call.positionals[0] !== "join-token") {
    throw new SwainError("INVALID_ARGUMENT", "say what: swain node join-token");
  }
  await printJoinToken(call);
}
