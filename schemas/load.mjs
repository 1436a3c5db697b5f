// Reads the JSON Schemas of this folder and joins their definitions into one set with local references.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

export const folders = ["manifest", "messages", "state"];

/** Every schema file: `{file, schema}`, the file relative to this folder. */
export const schemas = folders
  .flatMap((folder) =>
    readdirSync(join(here, folder))
      .filter((file) => file.endsWith(".schema.json"))
      .toSorted()
      .map((file) => join(folder, file)),
  )
  .map((file) => ({ file, schema: JSON.parse(readFileSync(join(here, file), "utf8")) }));

/** `messages/event.schema.json` → `event`, the name of the validator. */
export const exportName = (file) =>
  basename(file, ".schema.json").replaceAll(/-(\w)/g, (_, letter) => letter.toUpperCase());

/** The name of a file's own definition: `Event`. */
export const rootName = (file) => {
  const name = exportName(basename(file));
  return name[0].toUpperCase() + name.slice(1);
};

/** True when the file is a message or object of its own, not only definitions for others. */
export const isRoot = (schema) => schema.type !== undefined || schema.oneOf !== undefined;

/**
 * Every definition by name, each `$ref` replaced by `refTo(name)`. `choices` keeps "one of these must be given" beside
 * properties, which says something to a validator and nothing to a type.
 */
export function definitions(refTo, { choices }) {
  const localise = (node, self) => {
    if (Array.isArray(node)) return node.map((item) => localise(item, self));
    if (node === null || typeof node !== "object") return node;
    const copy = {};
    for (const [key, value] of Object.entries(node)) {
      if (key === "$id" || key === "$schema") continue;
      if (!choices && (key === "anyOf" || key === "oneOf") && node.properties !== undefined) continue;
      // A description beside a reference would make generators emit the referred definition again.
      if (key === "description" && node.$ref !== undefined) continue;
      if (key === "$ref") {
        const [id, pointer = ""] = value.split("#");
        const path = id.replace("urn:swain:", "");
        const def = pointer.replace("/$defs/", "");
        copy.$ref = refTo(def === "" ? rootName(path === "" ? self : path) : def);
      } else copy[key] = localise(value, self);
    }
    return copy;
  };
  const defs = {};
  for (const { file, schema } of schemas) {
    const { $defs = {}, ...root } = schema;
    const entries = Object.entries($defs);
    if (isRoot(root)) entries.push([rootName(file), root]);
    for (const [name, value] of entries) {
      if (defs[name] !== undefined) throw new Error(`two definitions are named ${name} (second in ${file})`);
      defs[name] = localise(value, basename(file));
    }
  }
  return defs;
}
