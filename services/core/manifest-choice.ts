// What to say where a schema wants a choice among fields (`oneOf`, `anyOf`) and it was not made. Called by the manifest checks.
import { explained, pointerTokens } from "./manifest-schema.ts";
import type { SchemaNode } from "./manifest-schema.ts";

/** The sentence for a choice that was not made at the pointer; `tooMany`: more than one, where the schema allows one. */
export function choiceWords(node: SchemaNode | undefined, path: string, tooMany: boolean): string {
  const branches = node?.oneOf ?? node?.anyOf ?? [];
  const fields = branches.map(({ required = [] }) => required.join(" with "));
  const what = thingName(path);
  if (tooMany) return `${what} has either ${fields.join(" or ")}, not both${explained(node)}`;
  if (node?.oneOf !== undefined) return `${what} needs ${fields.join(" or ")}${explained(node)}`;
  if (fields.length === 2) return `${what} needs ${fields.join(" or ")}, or both${explained(node)}`;
  return `${what} needs one of ${fields.slice(0, -1).join(", ")} or ${fields.at(-1)}${explained(node)}`;
}

/** What stands at the pointer, for a sentence: `/spec/containers/0` → a container, `/spec` → the spec. */
function thingName(path: string): string {
  const tokens = pointerTokens(path);
  const last = tokens.at(-1) ?? "document";
  const word = /^\d+$/.test(last) ? (tokens.at(-2) ?? last).replace(/s$/, "") : last;
  return word === "spec" ? "the spec" : `a ${word}`;
}
