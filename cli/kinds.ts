// The kinds of objects a command line can name, and how it names them: `pods`, `pod/web-1`, `svc web`.
import { didYouMean } from "../services/core/nearest.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { Call } from "./command.ts";

export type Resource = "pod" | "workload" | "service" | "autoscaler" | "node" | "event";

const words: Readonly<Record<Resource, readonly string[]>> = {
  pod: ["pod", "pods", "po"],
  workload: ["workload", "workloads", "wl"],
  service: ["service", "services", "svc"],
  autoscaler: ["autoscaler", "autoscalers", "as"],
  node: ["node", "nodes", "no"],
  event: ["event", "events", "ev"],
};

/** Each kind in its two long words: `pod`, `pods`. */
export const kindWords = (): (readonly [string, string])[] =>
  Object.values(words).map(([one = "", many = one]) => [one, many]);

const resources = Object.keys(words) as Resource[];

/** The resource somebody means by that word. Throws INVALID_ARGUMENT. */
function resourceOf(word: string): Resource {
  const known = resources.find((resource) => words[resource].includes(word.toLowerCase()));
  if (known !== undefined) return known;
  const plurals = resources.map((resource) => words[resource][1] ?? resource);
  const meant = didYouMean(word, plurals);
  throw new SwainError("INVALID_ARGUMENT", `unknown kind "${word}"${meant || `; there are ${plurals.join(", ")}`}`);
}

export interface Target {
  readonly resource: Resource;
  /** Undefined for all of them. */
  readonly name: string | undefined;
}

/** A target of the words `pods`, `pod/web-1` or `pod web-1`. Throws INVALID_ARGUMENT. */
export function parseTarget(first: string | undefined, second?: string): Target {
  if (first === undefined) {
    throw new SwainError(
      "INVALID_ARGUMENT",
      `say what: ${resources.map((name) => words[name][1]).join(", ")}, or KIND/NAME`,
    );
  }
  const slash = first.indexOf("/");
  if (slash < 0) return { resource: resourceOf(first), name: second === undefined ? undefined : checkedName(second) };
  if (second !== undefined) throw new SwainError("INVALID_ARGUMENT", `"${second}" is one argument too many`);
  return { resource: resourceOf(first.slice(0, slash)), name: checkedName(first.slice(slash + 1)) };
}

/** A target that names one object. Throws INVALID_ARGUMENT. */
export function parseObject(first: string | undefined, second?: string): { resource: Resource; name: string } {
  const { resource, name } = parseTarget(first, second);
  if (name === undefined) throw new SwainError("INVALID_ARGUMENT", `name one: ${resource}/NAME`);
  return { resource, name };
}

/** A name becomes part of a subject, so nothing else may. */
function checkedName(name: string): string {
  if (/^[a-z0-9]([-a-z0-9]{0,78}[a-z0-9])?$/.test(name)) return name;
  throw new SwainError("INVALID_ARGUMENT", `"${name}" is no name of an object: lower-case letters, digits and hyphens`);
}

export const namespaceArg = {
  namespace: { type: "string", alias: "n", valueHint: "NS", description: "Namespace (default: default)" },
} as const;

/** The namespace of -n. Throws INVALID_ARGUMENT. */
export function namespaceOf(call: Pick<Call, "option">): string {
  const namespace = call.option("namespace") ?? "default";
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) return namespace;
  throw new SwainError("INVALID_ARGUMENT", `"${namespace}" is no namespace: lower-case letters, digits and hyphens`);
}

/** The namespace token of a request: nodes have none. */
export function scopeOf(resource: Resource, namespace: string): string {
  return resource === "node" ? "_" : namespace;
}
