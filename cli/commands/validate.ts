import { asSwainError, SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import type { Fault, Reading } from "../manifests/read.ts";
import { jsonText } from "../output/json.ts";
import { harmless } from "../output/table.ts";
import { fileArg } from "./apply.ts";

export default command({
  name: "validate",
  description: "Check manifests without a cluster: every problem of every file, with its place",
  examples: [
    "swain validate -f web.yaml",
    "swain validate -f examples/hello -f more.yaml -o json",
    "generate-manifests | swain validate -f -",
  ],
  args: {
    ...fileArg,
    output: { type: "enum", alias: "o", options: ["text", "json"], description: "Form of the output" },
  },
  run: validate,
});

async function validate(call: Call): Promise<number> {
  const sources = call.options("file");
  if (sources.length === 0) throw new SwainError("INVALID_ARGUMENT", "name the manifests: -f FILE, -f DIR or -f -");
  const { terminal } = call;
  const { checkSources } = await import("../manifests/read.ts");
  const reading = await checkSources({ sources, workingDirectory: process.cwd(), input: () => terminal.input() });
  const faults = [...reading.faults, ...(await asOneApply(reading))];
  if (call.option("output") === "json") terminal.out(readingJson(reading, faults));
  else terminal.out(await plainText(reading, faults, terminal.color));
  return faults.length === 0 ? 0 : 2;
}

/** What an apply would refuse of all of them together. */
async function asOneApply({ files, faults, manifests }: Reading): Promise<Fault[]> {
  if (faults.length > 0) return [];
  const file = files.join(", ");
  if (manifests.length === 0) return [{ file, code: "INVALID_ARGUMENT", message: "no manifest in it" }];
  const { checkSize } = await import("../manifests/size.ts");
  try {
    checkSize(manifests);
    return [];
  } catch (error) {
    const { code, message } = asSwainError(error);
    return [{ file, code, message }];
  }
}

function readingJson({ files, manifests }: Reading, faults: readonly Fault[]): string {
  const objects = manifests.map(({ manifest: { kind, metadata }, place }) => ({
    kind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    place: place(""),
  }));
  const problems = faults.map(({ file, line, column, code, message }) => ({ file, line, column, code, message }));
  return jsonText({ valid: faults.length === 0, files, objects, problems }, 2);
}

async function plainText({ files, manifests }: Reading, faults: readonly Fault[], color: boolean): Promise<string> {
  const { counted, placeOf } = await import("../manifests/read.ts");
  if (faults.length === 0) {
    return `${counted(manifests.length, "manifest")} in ${counted(files.length, "file")}: no problem found\n`;
  }
  const red = (text: string): string => (color ? `\u001B[31m${text}\u001B[39m` : text);
  const shown = faults.map(
    (fault) => `${harmless(placeOf(fault))}: ${red(fault.code)}: ${harmless(fault.message)}\n${fault.frame ?? ""}`,
  );
  return `${shown.join("\n")}\n${counted(faults.length, "problem")} in ${counted(new Set(faults.map(({ file }) => file)).size, "file")}\n`;
}
