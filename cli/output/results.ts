// What became of a change, object by object.
import type { ChangeResult } from "../../schemas/generated/types.ts";
import { harmless } from "./table.ts";

/** `workload default/web configured`, with what else should be known; ends with a line end. */
export function resultLine({ kind, namespace, name, action, note }: ChangeResult, dryRun = false): string {
  const more = note === undefined ? "" : ` (${harmless(note)})`;
  return `${kind.toLowerCase()} ${namespace}/${name} ${action}${dryRun ? " (dry run)" : ""}${more}\n`;
}
