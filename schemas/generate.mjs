// Turns the JSON Schemas of this folder into TypeScript types and standalone validators under generated/.
// `node schemas/generate.mjs` writes them; `--out DIR` writes them elsewhere, which is how the drift test compares.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Ajv2020 from "ajv/dist/2020.js";
import standalone from "ajv/dist/standalone/index.js";
import { compile } from "json-schema-to-typescript";
import { definitions, exportName, folders, isRoot, rootName, schemas } from "./load.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const outFlag = process.argv.indexOf("--out");
const out = outFlag > 0 ? process.argv[outFlag + 1] : join(here, "generated");

const banner = "// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.\n";

// Types: one root schema that refers to every other, so that shared definitions are emitted once.
const defs = definitions((name) => `#/$defs/${name}`, { choices: false });
for (const [name, value] of Object.entries(defs)) value.title = name;
const root = { title: "SwainSchemas", type: "object", additionalProperties: false, $defs: defs, properties: {} };
for (const name of Object.keys(defs)) root.properties[name] = { $ref: `#/$defs/${name}` };
const types = await compile(root, "SwainSchemas", {
  additionalProperties: false,
  bannerComment: banner,
  declareExternallyReferenced: true,
  strictIndexSignatures: false,
  ignoreMinAndMaxItems: true,
  unknownAny: true,
  format: false,
});

/** The definition a reference such as `urn:swain:event#/$defs/PodChanged` names. */
const definitionOf = ($ref = "#") => {
  const [id, pointer] = $ref.split("#");
  return schemas.find(({ schema }) => schema.$id === id)?.schema.$defs?.[pointer.replace("/$defs/", "")] ?? {};
};

/** The values a property may have, or undefined when the definition does not list them. */
const valuesOf = (definition, property) => {
  const { $ref, ...own } = definition.properties?.[property] ?? {};
  const { const: only, enum: several = [only] } = $ref === undefined ? own : definitionOf($ref);
  return definition.required?.includes(property) && several[0] !== undefined ? several : undefined;
};

/** One schema where the property has one of the values, another elsewhere. */
const choice = (property, values, chosen, rest) => ({
  if: { type: "object", properties: { [property]: { enum: values } } },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema; nobody awaits a schema
  then: chosen,
  else: rest,
});

/**
 * A choice between definitions that `kind` and `verb` decide, as nested conditions: it means the same, and looks at one
 * definition where `oneOf` looks at all.
 */
const decided = (node) => {
  if (Array.isArray(node)) return node.map(decided);
  if (node === null || typeof node !== "object") return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, decided(value)]));
  const branches = (node.oneOf ?? []).map(({ $ref }) => {
    const definition = definitionOf($ref);
    return { $ref, kinds: valuesOf(definition, "kind"), verbs: valuesOf(definition, "verb") };
  });
  if (branches.length === 0 || branches.some(({ kinds, verbs }) => !kinds || !verbs)) return copy;
  const pairs = branches.flatMap(({ kinds, verbs }) => kinds.flatMap((kind) => verbs.map((verb) => `${kind} ${verb}`)));
  if (new Set(pairs).size !== pairs.length) throw new Error(`two of ${pairs.join(", ")} are the same`);
  delete copy.oneOf;
  const properties = { kind: { type: "string" }, verb: { type: "string" } };
  const verbChain = (those) =>
    those.reduceRight((rest, { $ref, verbs }) => choice("verb", verbs, { $ref }, rest), false);
  const chain = [...new Set(branches.map(({ kinds }) => kinds.join()))].reduceRight((rest, kinds) => {
    const those = branches.filter((branch) => branch.kinds.join() === kinds);
    return choice("kind", those[0].kinds, verbChain(those), rest);
  }, false);
  return { ...copy, type: "object", required: ["kind", "verb"], properties, ...chain };
};

// Validators: one file per folder, one export per schema that is a message or object of its own.
const validatorFile = (folder) => {
  const ajv = new Ajv2020.default({
    allErrors: true,
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    keywords: ["tsType"],
    code: { source: true, esm: true, lines: true },
  });
  for (const { schema } of schemas) ajv.addSchema(decided(schema));
  const exported = schemas.filter(({ file, schema }) => dirname(file) === folder && isRoot(schema));
  const code = standalone.default(
    ajv,
    Object.fromEntries(exported.map(({ file, schema }) => [exportName(file), schema.$id])),
  );
  const declarations = exported.map(
    ({ file }) => `export declare const ${exportName(file)}: Validator<${rootName(file)}>;`,
  );
  const names = exported.map(({ file }) => rootName(file)).toSorted();
  return {
    code: `${banner}${code.replace(/^"use strict";/, "")}\n`,
    types:
      `${banner}import type { Validator } from "./validator.ts";\n` +
      `import type { ${names.join(", ")} } from "./types.ts";\n\n${declarations.join("\n")}\n`,
  };
};

mkdirSync(out, { recursive: true });
writeFileSync(join(out, "types.ts"), types);
for (const folder of folders) {
  const { code, types: declarations } = validatorFile(folder);
  if (code.includes("require(")) throw new Error(`the ${folder} validators need a module at run time`);
  writeFileSync(join(out, `${folder}.js`), code);
  writeFileSync(join(out, `${folder}.d.ts`), declarations);
}
// The manifest schemas themselves, by $id: the manifest checks name known fields and explain patterns from them.
const manifestSchemas = Object.fromEntries(
  schemas.filter(({ file }) => dirname(file) === "manifest").map(({ schema }) => [schema.$id, schema]),
);
writeFileSync(
  join(out, "manifest-schemas.ts"),
  `${banner}\nexport const manifestSchemas: Readonly<Record<string, object>> = ${JSON.stringify(manifestSchemas)};\n`,
);
writeFileSync(
  join(out, "validator.ts"),
  `${banner}import type { ErrorObject } from "ajv";\n\n` +
    "/** True when the value fits; otherwise `errors` holds every problem. */\n" +
    "export interface Validator<T> {\n  (value: unknown): value is T;\n  errors?: ErrorObject[] | null;\n}\n",
);
