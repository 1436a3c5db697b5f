// Reads the manifest schemas at a place of a document: which fields are known there and what a value must look like.
// Called by the manifest checks to turn a validator's error into a sentence.
import { manifestSchemas } from "../../schemas/generated/manifest-schemas.ts";

/** The parts of a JSON Schema that messages are made of. */
export interface SchemaNode {
  readonly $ref?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
}

function definition(reference: string): SchemaNode | undefined {
  const [id = "", pointer = ""] = reference.split("#");
  let node: unknown = manifestSchemas[id];
  for (const token of pointer.split("/").slice(1)) {
    node = typeof node === "object" && node !== null ? (node as Record<string, unknown>)[token] : undefined;
  }
  return node as SchemaNode | undefined;
}

function resolved(node: SchemaNode | undefined): SchemaNode | undefined {
  let current = node;
  // References do not chain deeper than this; the bound only guards against a circle.
  for (let depth = 0; depth < 8 && current?.$ref !== undefined; depth++) current = definition(current.$ref);
  return current;
}

/** The tokens of a JSON pointer: `/spec/ports/0` → spec, ports, 0. */
export function pointerTokens(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A JSON pointer one token deeper. */
export function pointerTo(pointer: string, token: string | number): string {
  return `${pointer}/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** What the schema of that id says about the place; undefined where it says nothing. */
export function schemaAt(id: string, pointer: string): SchemaNode | undefined {
  return pointerTokens(pointer).reduce(below, resolved(manifestSchemas[id]));
}

/** The schema of a field or an entry. */
function below(node: SchemaNode | undefined, token: string): SchemaNode | undefined {
  const known = node?.properties;
  const field = known !== undefined && Object.hasOwn(known, token) ? known[token] : undefined;
  const rest = typeof node?.additionalProperties === "object" ? node.additionalProperties : node?.items;
  return resolved(field ?? rest);
}

/** The value with every list and mapping cut to one entry more than the schema of that id allows, which shows that it is too long. */
export function shortened(id: string, value: unknown): unknown {
  return shorten(resolved(manifestSchemas[id]), value);
}

function shorten(node: SchemaNode | undefined, value: unknown): unknown {
  if (node === undefined || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    return value.slice(0, (node.maxItems ?? Infinity) + 1).map((entry) => shorten(below(node, "0"), entry));
  }
  const fields = Object.entries(value).slice(0, (node.maxProperties ?? Infinity) + 1);
  return Object.fromEntries(fields.map(([key, field]) => [key, shorten(below(node, key), field)]));
}

/** The value at the place of the document; undefined where there is none. */
export function valueAt(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointerTokens(pointer)) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, token)) return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
}

/** The description for the end of a sentence: `: a whole number and a unit`; empty without one. */
export const explained = (node: SchemaNode | undefined): string => {
  if (node?.description === undefined) return "";
  const text = node.description.replace(/\.$/, "");
  // A description that begins with an acronym ("CPU cores") keeps its capitals.
  return `: ${/^[A-Z]{2}/.test(text) ? text : `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`}`;
};
