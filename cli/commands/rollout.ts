import type { TemplateObject, WorkloadObject } from "../../schemas/generated/types.ts";
import { didYouMean } from "../../services/core/nearest.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { wholeNumber } from "../local/numbers.ts";
import { because } from "../output/rows.ts";
import { harmless, table } from "../output/table.ts";
import { ageText } from "../output/units.ts";
import { clusterArgs } from "../settings.ts";
import { goalsOf, waitArgs, waitIfAsked } from "../wait-option.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "rollout",
  description:
    "Template changes of a workload: status (how far the last one is), history (the templates still known), undo (apply an earlier one; the count stays)",
  examples: [
    "swain rollout status workload/web --wait",
    "swain rollout history workload/web",
    "swain rollout undo workload/web --wait",
    "swain rollout undo workload/web --to 42",
  ],
  args: {
    action: { type: "positional", required: false, description: "status, history or undo" },
    object: { type: "positional", required: false, description: "workload/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    to: { type: "string", valueHint: "GENERATION", description: "undo: this template (default: the one before)" },
    ...waitArgs,
    ...namespaceArg,
    ...clusterArgs,
  },
  run: rollout,
});

type Action = (call: Call, namespace: string, name: string) => Promise<void>;
const actions: ReadonlyMap<string, Action> = new Map(Object.entries({ status, history, undo }));

async function rollout(call: Call): Promise<void> {
  const [word = "", first, second] = call.positionals;
  const known = [...actions.keys()];
  const action = actions.get(word);
  if (action === undefined) {
    const what = word === "" ? "say what" : `there is no "rollout ${word}"${didYouMean(word, known)}`;
    throw new SwainError("INVALID_ARGUMENT", `${what}: swain rollout ${known.join("|")} workload/NAME`);
  }
  const { resource, name } = parseObject(first, second);
  if (resource !== "workload")
    throw new SwainError("INVALID_ARGUMENT", `only workloads have templates, no ${resource}s`);
  await action(call, namespaceOf(call), name);
}

async function status(call: Call, namespace: string, name: string): Promise<void> {
  await withClient(call, async (client) => {
    const workload = (await client.get(namespace, "workload", name)) as unknown as WorkloadObject;
    const { phase, updated, ready, replicas, reason, message } = workload.status;
    const counts = `${updated} of ${replicas} pods are of the current template, ${ready} ready`;
    const why = reason === "" ? "" : ` (${because(reason, message)})`;
    call.terminal.out(`workload ${namespace}/${name}: ${phase}, ${counts}${harmless(why)}\n`);
    const accepted = { epoch: 1, sequence: workload.sequence, results: [] };
    await waitIfAsked(call, client, accepted, [{ kind: "workload", namespace, name, until: "settled" }]);
  });
}

async function history(call: Call, namespace: string, name: string): Promise<void> {
  await withClient(call, async (client) => {
    const items = await client.list(namespace, "workload", { name }, "history");
    const now = Date.now();
    const rows = (items as unknown as TemplateObject[]).map(({ generation, time, current, pods, spec }) =>
      [generation, `${ageText(now - time)} ago`, pods, current ? "yes" : "", runs(spec)].map((cell) => ({
        text: String(cell),
      })),
    );
    call.terminal.out(table(["GENERATION", "SET", "PODS", "CURRENT", "RUNS"], rows, call.terminal.color));
  });
}

const runs = ({ containers }: TemplateObject["spec"]): string =>
  containers.map(({ image, process }) => image ?? process?.command.join(" ") ?? "sim").join(", ");

async function undo(call: Call, namespace: string, name: string): Promise<void> {
  const to = wholeNumber("to", call.option("to"), 1, Number.MAX_SAFE_INTEGER);
  await withClient(call, async (client) => {
    const body = to === undefined ? { name } : { name, to };
    const accepted = await client.change(namespace, "workload", "undo", body);
    const [result] = accepted.results;
    const done = result?.action === "unchanged" ? "has that template already" : "goes back to an earlier template";
    call.terminal.out(`workload ${namespace}/${name} ${done}\n`);
    await waitIfAsked(call, client, accepted, goalsOf(accepted.results, "settled"));
  });
}
