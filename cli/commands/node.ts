import { limits } from "../../services/bus/limits.ts";
import { didYouMean } from "../../services/core/nearest.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { durationMs } from "../durations.ts";
import { fetchObjects } from "../fetch.ts";
import { joinTokenArgs, printJoinToken } from "../join-token.ts";
import { parseTarget } from "../kinds.ts";
import { objectsText, outputArg } from "../output/objects.ts";
import type { OutputFormat } from "../output/objects.ts";
import { clusterArgs } from "../settings.ts";
import { defaultWaitMs } from "../wait.ts";
import { waitArgs } from "../wait-option.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "node",
  description: [
    "List nodes, let one join, and decide about one of them:",
    "ls; cordon (no new pods); uncordon; drain (cordon, and its pods move away, each when a copy of it is ready elsewhere);",
    "rm (forget a node that is unheard, or cordoned and empty);",
    "join-token (print the line that lets another machine join this cluster)",
  ].join(" "),
  examples: [
    "swain node ls -o wide",
    "swain node cordon node-1",
    "swain node drain node-1 --wait --timeout 5m",
    "swain node uncordon node-1",
    "swain node rm node-1",
    "swain node join-token --role proxy --ttl 10m --uses 3",
  ],
  args: {
    action: { type: "positional", required: false, description: "ls, cordon, uncordon, drain, rm or join-token" },
    name: { type: "positional", required: false, description: "The node" },
    force: {
      type: "boolean",
      description: "rm: also a node that is heard and has pods; they stop there and new ones are made elsewhere",
    },
    ...joinTokenArgs,
    ...waitArgs,
    ...outputArg,
    ...clusterArgs,
  },
  run: node,
});

type Action = (call: Call, name: string | undefined) => Promise<void>;

const actions: ReadonlyMap<string, Action> = new Map<string, Action>([
  ["ls", list],
  ["cordon", (call, name) => change(call, "cordon", nameOf(name), "cordoned")],
  ["uncordon", (call, name) => change(call, "uncordon", nameOf(name), "takes pods again")],
  ["drain", drain],
  ["rm", (call, name) => remove(call, nameOf(name))],
  ["join-token", (call) => printJoinToken(call)],
]);

async function node(call: Call): Promise<void> {
  const [word, name] = call.positionals;
  const known = [...actions.keys()];
  const action = actions.get(word ?? "");
  if (action === undefined) {
    const what = word === undefined ? "say what" : `there is no "node ${word}"${didYouMean(word, known)}`;
    throw new SwainError("INVALID_ARGUMENT", `${what}: swain node ${known.join("|")}`);
  }
  await action(call, name);
}

/** Also `node/NAME`, as other commands take it. Throws INVALID_ARGUMENT. */
function nameOf(word: string | undefined): string {
  const { name } = word === undefined || !word.includes("/") ? parseTarget("node", word) : parseTarget(word);
  if (name === undefined) throw new SwainError("INVALID_ARGUMENT", "name a node: see swain node ls");
  return name;
}

async function list(call: Call, name: string | undefined): Promise<void> {
  const format = (call.option("output") as OutputFormat | undefined) ?? "table";
  await withClient(call, async (client) => {
    const objects = await fetchObjects(client, "node", "_", name);
    const view = { resource: "node", format, namespaced: false, color: call.terminal.color, now: Date.now() } as const;
    call.terminal.out(await objectsText(objects, view, name !== undefined));
  });
}

async function change(call: Call, verb: string, name: string, done: string): Promise<void> {
  await withClient(call, async (client) => {
    await client.change("_", "node", verb, { name });
    call.terminal.out(`node ${name} ${done}\n`);
  });
}

async function drain(call: Call, word: string | undefined): Promise<void> {
  const name = nameOf(word);
  const timeoutMs = durationMs(call, "timeout") ?? defaultWaitMs;
  await withClient(call, async (client) => {
    const { sequence } = await client.change("_", "node", "drain", { name });
    call.terminal.out(`node ${name} drains: its pods move away\n`);
    if (!call.flag("wait")) return;
    const { waitForDrain } = await import("../node-drain.ts");
    await waitForDrain(call.terminal, client, name, { timeoutMs, minSeq: sequence });
  });
}

const heardWords = [
  "Its agent is alive and is told now to stop the pods it had.",
  "If it joined with a token, its credentials end then; a new token lets it in again.",
  `If not, it comes back uncordoned in about ${limits.removedHoldMs / 1000} s: stop that agent if the node shall stay away.\n`,
].join("\n");

const unheardWords = [
  "Its agent is not heard, so copies of its pods may run on there: make sure that the machine is off.",
  "An agent that comes back is told to stop them; one that joined with a token needs a new one first.\n",
].join("\n");

async function remove(call: Call, name: string): Promise<void> {
  await withClient(call, async (client) => {
    const { status } = (await client.get("_", "node", name)) as { status?: { state?: string } };
    const pods = await client.list("_", "pod");
    const on = pods.filter(({ spec }) => (spec as { node?: string }).node === name).length;
    await client.change("_", "node", "remove", call.flag("force") ? { name, force: true } : { name });
    const forgotten =
      on === 0 ? "" : `; its ${on} ${on === 1 ? "pod is" : "pods are"} forgotten and made anew elsewhere`;
    call.terminal.out(`node ${name} removed${forgotten}\n`);
    call.terminal.out(status?.state === "unknown" ? unheardWords : heardWords);
  });
}
