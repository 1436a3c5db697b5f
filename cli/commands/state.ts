import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { harmless } from "../output/table.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "state",
  description:
    "state verify: fold the stored log in this process and compare every key of every bucket with its projection, byte for byte",
  examples: ["swain state verify", "swain state verify -o json"],
  args: {
    action: { type: "positional", required: false, description: "verify" },
    output: {
      type: "enum",
      alias: "o",
      options: ["text", "json"],
      description: "Form of the output",
    },
    ...clusterArgs,
  },
  run: state,
});

/** Differences shown with their values; all of them are in the JSON. */
const shown = 20;

async function state(call: Call): Promise<number> {
  const action = call.positionals[0];
  if (action !== "verify") throw new SwainError("INVALID_ARGUMENT", `say what: swain state verify`);
  return withClient(call, async (client) => {
    const { verifyState } = await import("../../services/controller/verify.ts");
    const result = await verifyState(client.bus, client.cluster, client.clock);
    const { sequence, records, foreign, keys, differences } = result;
    if (call.option("output") === "json") {
      call.terminal.out(`${JSON.stringify(result, null, 2)}\n`);
      return differences.length === 0 ? 0 : 1;
    }
    const count = differences.length;
    const verdict = count === 0 ? "equal, byte for byte" : `${count} ${count === 1 ? "key differs" : "keys differ"}`;
    call.terminal.out(`${records} records up to ${sequence} (${foreign} foreign), ${keys} keys: ${verdict}\n`);
    for (const { bucket, key, expected, found } of differences.slice(0, shown)) {
      call.terminal.out(
        `${bucket} ${key}\n  expected ${harmless(expected ?? "no such key")}\n  found    ${harmless(found ?? "no such key")}\n`,
      );
    }
    if (count > shown) call.terminal.out(`… and ${count - shown} more\n`);
    return count === 0 ? 0 : 1;
  });
}
