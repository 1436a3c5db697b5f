import type { Accepted, Problem } from "../../schemas/generated/types.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { Client } from "../client.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import type { LoadedManifest } from "../manifests/read.ts";
import { resultLine } from "../output/results.ts";
import { clusterArgs } from "../settings.ts";
import { goalsOf, waitArgs, waitIfAsked } from "../wait-option.ts";
import { withClient } from "../with-client.ts";

export const fileArg = {
  file: {
    type: "string",
    alias: "f",
    valueHint: "FILE|DIR|-",
    description: "Manifests: a file, the files of a folder, or - for standard input; repeatable",
  },
} as const;

export default command({
  name: "apply",
  description: "Create or change objects from manifests: all of them, or none",
  examples: [
    "swain apply -f web.yaml",
    "swain apply -f examples/hello --wait",
    "swain apply -f a.yaml -f b.yaml --dry-run",
    "generate-manifests | swain apply -f -",
  ],
  args: {
    ...fileArg,
    ...waitArgs,
    "dry-run": { type: "boolean", description: "Check everything, change nothing" },
    ...clusterArgs,
  },
  run: apply,
});

async function apply(call: Call): Promise<void> {
  const sources = call.options("file");
  if (sources.length === 0) throw new SwainError("INVALID_ARGUMENT", "name the manifests: -f FILE, -f DIR or -f -");
  const { terminal } = call;
  // Loaded here, because --help should not wait for YAML and the schemas.
  const { readManifests } = await import("../manifests/read.ts");
  const { checkSize } = await import("../manifests/size.ts");
  const manifests = await readManifests({ sources, workingDirectory: process.cwd(), input: () => terminal.input() });
  checkSize(manifests);
  const dryRun = call.flag("dry-run");
  await withClient(call, async (client) => {
    const accepted = await send(client, manifests, dryRun);
    for (const result of accepted.results) terminal.out(resultLine(result, dryRun));
    if (!dryRun) await waitIfAsked(call, client, accepted, goalsOf(accepted.results, "settled"));
  });
}

/** Sends the manifests; what the leader finds wrong is told by file and line, too. */
async function send(client: Client, manifests: readonly LoadedManifest[], dryRun: boolean): Promise<Accepted> {
  const documents = manifests.map(({ manifest }) => manifest);
  try {
    return await client.change("_", "manifest", "apply", dryRun ? { documents, dryRun } : { documents });
  } catch (error) {
    if (!(error instanceof SwainError) || !Array.isArray(error.details.problems)) throw error;
    const { problemText } = await import("../manifests/read.ts");
    const located = (error.details.problems as Problem[]).map((problem) => ({
      place: manifests[problem.document]?.place(problem.path, problem.code === "UNKNOWN_FIELD") ?? "",
      message: problemText(problem),
    }));
    throw new SwainError(error.code, error.message, { cause: error, details: { ...error.details, located } });
  }
}
