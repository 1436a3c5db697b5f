import { SwainError } from "../../services/kernel/errors.ts";
import { sleep } from "../../services/kernel/clock.ts";
import type { Verification } from "../../services/controller/verify.ts";
import type { Client } from "../client.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { harmless } from "../output/table.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "state",
  description: [
    "state verify: fold the stored log in this process and compare the snapshots and every key of every bucket with it, byte for byte.",
    "state rebuild: have the leader make projections and snapshot anew, and verify",
  ].join(" "),
  examples: ["swain state verify", "swain state verify -o json", "swain state rebuild"],
  args: {
    action: { type: "positional", required: false, description: "verify or rebuild" },
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
/** The snapshot of half a million pods takes half a minute; more is waited for than that. */
const rebuildMs = 180_000;
const lookMs = 300;

async function state(call: Call): Promise<number> {
  const action = call.positionals[0];
  if (action !== "verify" && action !== "rebuild") {
    throw new SwainError("INVALID_ARGUMENT", "say what: swain state verify, or swain state rebuild");
  }
  return withClient(call, async (client) => {
    if (action === "rebuild") await rebuild(client);
    const { verifyState } = await import("../../services/controller/verify.ts");
    const { systemPacking } = await import("../../services/kernel/node/packing.ts");
    const { bus, cluster, clock } = client;
    const result = await verifyState({ bus, cluster, clock, packing: systemPacking });
    call.terminal.out(call.option("output") === "json" ? `${JSON.stringify(result, null, 2)}\n` : textOf(result));
    return isGood(result) ? 0 : 1;
  });
}

const isGood = ({ differences, snapshots, missing }: Verification): boolean =>
  differences.length === 0 && missing === 0 && snapshots.every((one) => one.state === "equal");

function textOf({ sequence, base, records, foreign, keys, snapshots, missing, differences }: Verification): string {
  const count = differences.length;
  const verdict = count === 0 ? "equal, byte for byte" : `${count} ${count === 1 ? "key differs" : "keys differ"}`;
  const from = base === 0 ? "" : `from the snapshot of ${base}, `;
  const lines = [`${from}${records} records up to ${sequence} (${foreign} foreign), ${keys} keys: ${verdict}`];
  for (const one of snapshots) {
    const why = one.state === "equal" ? "" : `: SNAPSHOT_BROKEN: ${harmless(one.message)}`;
    lines.push(`snapshot of ${one.sequence}: ${one.state}${why}`);
  }
  if (missing > 0)
    lines.push(
      `SNAPSHOT_MISSING: the log is cut, and ${missing} of 2 good snapshots ${missing === 1 ? "is" : "are"} not there`,
    );
  for (const { bucket, key, expected, found } of differences.slice(0, shown)) {
    lines.push(`${bucket} ${key}`);
    lines.push(`  expected ${harmless(expected ?? "no such key")}`, `  found    ${harmless(found ?? "no such key")}`);
  }
  if (count > shown) lines.push(`… and ${count - shown} more`);
  return lines.map((line) => `${line}\n`).join("");
}

interface Status {
  readonly snapshots?: {
    readonly rebuilding: boolean;
    readonly problem: string | null;
    readonly verified: readonly { readonly sequence: number }[];
  };
}

/** Resolves when the leader has made a snapshot since it was asked. */
async function rebuild(client: Client): Promise<void> {
  const asked = await client.ask("_", "cluster", "rebuild", {});
  const sequence = Number(asked["sequence"]);
  const until = client.clock.mono() + rebuildMs;
  for (;;) {
    const { snapshots } = (await client.ask("_", "cluster", "status", {})) as Status;
    const isDone = snapshots?.rebuilding === false && (snapshots.verified[0]?.sequence ?? 0) >= sequence;
    if (isDone) return;
    if (client.clock.mono() > until) {
      throw new SwainError("WAIT_TIMEOUT", `the new snapshot is not there yet${snapshots?.problem ?? ""}`);
    }
    await sleep(client.clock, lookMs, client.signal);
  }
}
