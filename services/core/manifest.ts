// Says everything that is wrong with one manifest document, in sentences for the person who wrote it: first what the
// schema finds, then what only its meaning shows. Called by the CLI before it sends anything and by admission, which
// trusts no client. Knows nothing of files, YAML or the state of the cluster.
import { autoscalerManifest, serviceManifest, workloadManifest } from "../../schemas/generated/manifest.js";
import type { AutoscalerManifest, ServiceManifest, WorkloadManifest } from "../../schemas/generated/types.ts";
import { choiceWords } from "./manifest-choice.ts";
import { autoscalerMeaning, serviceMeaning, workloadMeaning } from "./manifest-meaning.ts";
import type { ManifestProblem } from "./manifest-problem.ts";
import { explained, pointerTo, pointerTokens, schemaAt, shortened, valueAt } from "./manifest-schema.ts";
import type { SchemaNode } from "./manifest-schema.ts";
import { didYouMean, nearest } from "./nearest.ts";

export type { ManifestProblem };
export type Manifest = WorkloadManifest | ServiceManifest | AutoscalerManifest;

type SchemaError = NonNullable<typeof workloadManifest.errors>[number];

const apiVersion = "swain/v1";
const kinds = {
  Workload: { id: "urn:swain:workload-manifest", validate: workloadManifest, meaning: workloadMeaning },
  Service: { id: "urn:swain:service-manifest", validate: serviceManifest, meaning: serviceMeaning },
  Autoscaler: { id: "urn:swain:autoscaler-manifest", validate: autoscalerManifest, meaning: autoscalerMeaning },
} as const;
type Kind = keyof typeof kinds;
const kindNames = Object.keys(kinds) as Kind[];

const isKind = (value: unknown): value is Kind => typeof value === "string" && Object.hasOwn(kinds, value);

/**
 * Every problem of the document, in document order of kind: schema first, then meaning. Empty = it is a Manifest. Of what
 * the schema finds, `most` are put into words.
 */
export function checkManifest(document: unknown, most = Infinity): ManifestProblem[] {
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    return [
      {
        path: "",
        code: "WRONG_TYPE",
        message: "a manifest must be a mapping with apiVersion, kind, metadata and spec",
        value: document,
      },
    ];
  }
  const given = (document as { kind?: unknown }).kind;
  const head = headProblems(document);
  // A mistyped kind is checked as the kind that was meant, so that every problem is told at once.
  const kind = isKind(given)
    ? given
    : typeof given === "string"
      ? (nearest(given, kindNames) as Kind | undefined)
      : undefined;
  if (kind === undefined) return head;
  const { id, validate, meaning } = kinds[kind];
  // A list that is too long is one problem: to look at all of its entries, too, would hold up a leader for minutes.
  const looked = shortened(id, document) as object;
  validate(looked);
  const errors = validate.errors ?? [];
  const mistyped = new Set(errors.flatMap((error) => (error.keyword === "type" ? [error.instancePath] : [])));
  const schema: ManifestProblem[] = [];
  for (const error of errors) {
    if (schema.length >= most) break;
    schema.push(...fromSchema(id, document, error, mistyped));
  }
  const told = new Set([...head, ...schema].map((problem) => problem.path));
  const deeper = meaning(looked).filter((problem) => !told.has(problem.path));
  return [...head, ...schema, ...deeper];
}

function headProblems(document: object): ManifestProblem[] {
  const { apiVersion: version, kind } = document as { apiVersion?: unknown; kind?: unknown };
  const problems: ManifestProblem[] = [];
  if (version === undefined) {
    problems.push({ path: "", code: "REQUIRED", message: `apiVersion is missing; write "apiVersion: ${apiVersion}"` });
  } else if (version !== apiVersion) {
    const message = `unknown apiVersion; this Swain knows "${apiVersion}"`;
    problems.push({ path: "/apiVersion", code: "BAD_VALUE", message, value: version });
  }
  if (kind === undefined) {
    problems.push({ path: "", code: "REQUIRED", message: `kind is missing; it is one of ${kindNames.join(", ")}` });
  } else if (!isKind(kind)) {
    const meant = typeof kind === "string" ? didYouMean(kind, kindNames) : "";
    const message = `unknown kind${meant === "" ? `; known kinds are ${kindNames.join(", ")}` : meant}`;
    problems.push({ path: "/kind", code: "UNKNOWN_KIND", message, value: kind });
  }
  return problems;
}

/** `mistyped`: paths of all values of the wrong type. */
function fromSchema(
  id: string,
  document: object,
  error: SchemaError,
  mistyped: ReadonlySet<string>,
): ManifestProblem[] {
  const path = error.instancePath;
  // The head has its own sentences; branches of anyOf and oneOf are told by the anyOf or oneOf itself.
  if (path === "/apiVersion" || path === "/kind" || /\/(anyOf|oneOf)\/\d/.test(error.schemaPath)) return [];
  // One sentence per value is enough: a value of the wrong type also fails pattern, enum and range.
  if (error.keyword !== "type" && mistyped.has(path)) return [];
  const fields = fieldProblems(id, document, error);
  if (fields !== undefined) return fields;
  const value = valueAt(document, path);
  const { code, message } = valueWords(error, schemaAt(id, path), value);
  return [{ path, code, message: `${placeName(path)} ${message}`, value }];
}

/** What is wrong with the fields of a mapping; undefined when the error is about a value itself. */
function fieldProblems(id: string, document: object, error: SchemaError): ManifestProblem[] | undefined {
  const path = error.instancePath;
  const params = error.params as Record<string, unknown>;
  const node = schemaAt(id, path);
  switch (error.keyword) {
    case "additionalProperties": {
      const field = String(params.additionalProperty);
      const known = Object.keys(node?.properties ?? {});
      const message = `unknown field "${field}"${didYouMean(field, known) || `; known here: ${known.join(", ")}`}`;
      const place = pointerTo(path, field);
      return [{ path: place, code: "UNKNOWN_FIELD", message, value: valueAt(document, place) }];
    }
    case "required": {
      const field = String(params.missingProperty);
      if (path === "" && (field === "apiVersion" || field === "kind")) return [];
      const message = `${field} is missing${explained(schemaAt(id, pointerTo(path, field)))}`;
      return [{ path, code: "REQUIRED", message }];
    }
    case "anyOf":
    case "oneOf":
      return [
        {
          path,
          code: params.passingSchemas ? "BAD_VALUE" : "REQUIRED",
          message: choiceWords(node, path, Boolean(params.passingSchemas)),
        },
      ];
    case "propertyNames": {
      const key = String(params.propertyName);
      const message = `"${key}" is no valid key${explained(node)}`;
      return [{ path: pointerTo(path, key), code: "BAD_VALUE", message, value: key }];
    }
    default:
      // The pattern of a key is told by propertyNames.
      return "propertyName" in error ? [] : undefined;
  }
}

function valueWords(
  error: SchemaError,
  node: SchemaNode | undefined,
  value: unknown,
): Pick<ManifestProblem, "code" | "message"> {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "type":
      return {
        code: "WRONG_TYPE",
        message: `must be ${typeWords(params.type)}, not ${typeOf(value)}${explained(node)}`,
      };
    case "enum":
    case "const": {
      const allowed = node?.enum ?? [String(node?.const)];
      const message = `must be one of ${allowed.join(", ")}${didYouMean(String(value), allowed)}`;
      return { code: "BAD_VALUE", message };
    }
    case "minimum":
    case "maximum":
      return { code: "OUT_OF_RANGE", message: `must be ${rangeWords(node)}${explained(node)}` };
    case "minItems":
    case "maxItems":
    case "maxProperties": {
      const bound = error.keyword === "minItems" ? "least" : "most";
      const message = `must have at ${bound} ${String(params.limit)} ${params.limit === 1 ? "entry" : "entries"}`;
      return { code: "OUT_OF_RANGE", message };
    }
    case "pattern": {
      const rule = explained(node) || ` (pattern ${String(params.pattern)})`;
      return { code: "BAD_VALUE", message: `has the wrong form${rule}` };
    }
    default:
      return { code: "BAD_VALUE", message: error.message ?? "is not valid" };
  }
}

/** The last part of a pointer for a sentence: `/spec/replicas` → replicas, `/spec/ports/0` → ports[0]. */
function placeName(path: string): string {
  const tokens = pointerTokens(path);
  const last = tokens.at(-1) ?? "the document";
  return /^\d+$/.test(last) && tokens.length > 1 ? `${tokens.at(-2)}[${last}]` : last;
}

const typeNames: Readonly<Record<string, string>> = {
  object: "a mapping",
  array: "a list",
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  null: "nothing",
};

const typeWords = (type: unknown): string =>
  (Array.isArray(type) ? (type as string[]) : [String(type)]).map((name) => typeNames[name] ?? name).join(" or ");

function typeOf(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isInteger(value) ? "a whole number" : "a fraction";
  if (typeof value === "boolean") return "true or false";
  return typeNames[typeof value] ?? typeof value;
}

function rangeWords(node: SchemaNode | undefined): string {
  if (node?.minimum === undefined) return `at most ${node?.maximum}`;
  return node.maximum === undefined ? `at least ${node.minimum}` : `between ${node.minimum} and ${node.maximum}`;
}
