import type { AutoscalerManifest, AutoscalerObject } from "../../schemas/generated/types.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { wholeNumber } from "../local/numbers.ts";
import { resultLine } from "../output/results.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "autoscale",
  description: "Let the number of a workload's pods follow their use: makes or changes the autoscaler of its name",
  examples: [
    "swain autoscale workload/web --cpu 70 --min 2 --max 10",
    "swain autoscale workload/web --cpu 70 --mem 80 --min 2 --max 10 -n shop",
    "swain autoscale workload/web --max 20",
  ],
  args: {
    object: { type: "positional", required: false, description: "workload/NAME" },
    name: { type: "positional", required: false, description: "Its name, after the kind alone" },
    cpu: { type: "string", valueHint: "PERCENT", description: "Wanted use of the requested CPU" },
    mem: { type: "string", valueHint: "PERCENT", description: "Wanted use of the requested memory" },
    min: { type: "string", valueHint: "K", description: "Fewest pods (at first: 1)" },
    max: { type: "string", valueHint: "K", description: "Most pods" },
    ...namespaceArg,
    ...clusterArgs,
  },
  run: autoscale,
});

type Given = Partial<Pick<AutoscalerManifest["spec"], "cpu" | "memory" | "minReplicas" | "maxReplicas">>;

async function autoscale(call: Call): Promise<void> {
  const { resource, name } = parseObject(call.positionals[0], call.positionals[1]);
  if (resource !== "workload") {
    throw new SwainError("INVALID_ARGUMENT", `only workloads are autoscaled, no ${resource}s`);
  }
  const namespace = namespaceOf(call);
  const given = givenOf(call);
  await withClient(call, async (client) => {
    const known = (await client.find(namespace, "autoscaler", name)) as unknown as AutoscalerObject | null;
    const manifest: AutoscalerManifest = {
      apiVersion: "swain/v1",
      kind: "Autoscaler",
      metadata: { name, namespace, ...(known?.metadata.labels === undefined ? {} : { labels: known.metadata.labels }) },
      spec: specOf(name, known, given),
    };
    const { results } = await client.change("_", "manifest", "apply", { documents: [manifest] });
    for (const result of results) call.terminal.out(resultLine(result));
  });
}

/**
 * What is left out stays as it is. Throws INVALID_ARGUMENT when there is nothing to stay and too little was said, and where the
 * autoscaler of that name is of another workload.
 */
function specOf(name: string, known: AutoscalerObject | null, given: Given): AutoscalerManifest["spec"] {
  if (known !== null && known.spec.workload !== name) {
    const message = `autoscaler ${name} is of workload ${known.spec.workload}: change it, or make one of another name, by a manifest`;
    throw new SwainError("INVALID_ARGUMENT", message);
  }
  if (known !== null) return { ...known.spec, ...given };
  const { maxReplicas } = given;
  if (maxReplicas === undefined) throw new SwainError("INVALID_ARGUMENT", "say how many pods at most: --max K");
  if (given.cpu === undefined && given.memory === undefined) {
    throw new SwainError("INVALID_ARGUMENT", "say what use is wanted: --cpu PERCENT, --mem PERCENT, or both");
  }
  return { workload: name, minReplicas: 1, ...given, maxReplicas };
}

function givenOf(call: Call): Given {
  const cpu = wholeNumber("cpu", call.option("cpu"), 1, 1000);
  const memory = wholeNumber("mem", call.option("mem"), 1, 1000);
  const minReplicas = wholeNumber("min", call.option("min"), 1, 10_000);
  const maxReplicas = wholeNumber("max", call.option("max"), 1, 10_000);
  return {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(minReplicas === undefined ? {} : { minReplicas }),
    ...(maxReplicas === undefined ? {} : { maxReplicas }),
  };
}
