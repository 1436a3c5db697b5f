// What is said of manifests that cannot run, and that every rule of the schemas has words of its own.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { choiceWords } from "../../services/core/manifest-choice.ts";
import type { SchemaNode } from "../../services/core/manifest-schema.ts";
import { checkManifest } from "../../services/core/manifest.ts";

const workload = (spec: object = {}, container: object = {}): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "web" },
  spec: { containers: [{ name: "web", image: "nginx", ...container }], ...spec },
});
const told = (document: unknown): string[] =>
  checkManifest(document).map(({ path, code, message }) => `${path} ${code} ${message}`);

test.each([
  [
    "a check of nothing",
    workload({}, { readiness: { interval: "1s" } }),
    "/spec/containers/0/readiness REQUIRED a readiness needs http or tcp: one check, http or tcp",
  ],
  [
    "two checks in one",
    workload({}, { readiness: { http: { port: 80 }, tcp: { port: 80 } } }),
    "/spec/containers/0/readiness BAD_VALUE a readiness has either http or tcp, not both: one check, http or tcp",
  ],
  [
    "a path without a slash",
    workload({}, { readiness: { http: { port: 80, path: "health" } } }),
    "/spec/containers/0/readiness/http/path BAD_VALUE path has the wrong form: must begin with `/` and have no spaces (default `/`)",
  ],
  [
    "nodes given up before they can be heard",
    workload({ lostAfter: "0s" }),
    "/spec/lostAfter OUT_OF_RANGE must be at least 1s, because nodes give a sign of life each second",
  ],
  [
    "an image with a NUL",
    workload({}, { image: "b\0" }),
    "/spec/containers/0/image BAD_VALUE image must be an image reference: a name has lower-case letters, digits and single separators",
  ],
  [
    "an image with a space",
    workload({}, { image: "web:a b" }),
    "/spec/containers/0/image BAD_VALUE image has the wrong form: an image reference, for nodes with a container engine",
  ],
  [
    "a process without a program",
    workload({}, { image: undefined, process: { command: [""] } }),
    "/spec/containers/0/process/command/0 BAD_VALUE the program is missing: the first entry names it",
  ],
  [
    "an image's command without a program",
    workload({}, { command: ["", "x"] }),
    "/spec/containers/0/command/0 BAD_VALUE the program is missing: the first entry names it",
  ],
  [
    "words with a NUL",
    workload({}, { command: ["a\0"] }),
    "/spec/containers/0/command/0 BAD_VALUE a NUL character cannot be passed to a program",
  ],
  [
    "arguments with a NUL",
    workload({}, { args: ["a\0"] }),
    "/spec/containers/0/args/0 BAD_VALUE a NUL character cannot be passed to a program",
  ],
  [
    "a variable with a NUL",
    workload({}, { env: [{ name: "A", value: "\0" }] }),
    "/spec/containers/0/env/0/value BAD_VALUE a NUL character cannot be passed to a program",
  ],
])("%s is refused with its path, and nothing else is", (_, document, expected) => {
  expect(told(document)).toEqual([expected]);
});

test("every pattern of the manifest schemas is explained in words", () => {
  const folder = new URL("../../schemas/manifest/", import.meta.url);
  const unexplained: string[] = [];
  const visit = (node: unknown, path: string, explained: boolean): void => {
    if (typeof node !== "object" || node === null) return;
    const here = "description" in node || (explained && path.endsWith("propertyNames"));
    if ("pattern" in node && typeof node.pattern === "string" && !here) unexplained.push(path);
    for (const [key, value] of Object.entries(node)) visit(value, `${path}/${key}`, here);
  };
  for (const name of readdirSync(folder)) visit(JSON.parse(readFileSync(new URL(name, folder), "utf8")), name, false);
  expect(unexplained).toEqual([]);
});

test("every choice of the manifest schemas is told by the names of its fields", () => {
  const folder = new URL("../../schemas/manifest/", import.meta.url);
  const choices: SchemaNode[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    if ("oneOf" in node || "anyOf" in node) choices.push(node as SchemaNode);
    for (const inner of Object.values(node)) walk(inner);
  };
  for (const name of readdirSync(folder)) walk(JSON.parse(readFileSync(new URL(name, folder), "utf8")));
  expect(choices.length).toBeGreaterThanOrEqual(4);
  for (const node of choices) {
    // A choice of another shape than "one of these fields" needs words of its own.
    const branches = node.oneOf ?? node.anyOf ?? [];
    expect(branches.map((branch) => Object.keys(branch))).toEqual(branches.map(() => ["required"]));
    const fields = branches.flatMap(({ required = [] }) => required);
    expect(Object.keys(node.properties ?? {})).toEqual(expect.arrayContaining(fields));
    const { description: _, ...without } = node;
    for (const words of [choiceWords(without, "/spec/things/0", false), choiceWords(without, "/spec/things/0", true)]) {
      const told = words.replace(/^a thing (needs( one of)?|has either) /, "").replace(/, (not|or) both$/, "");
      expect(told.split(/, | or /)).toEqual(fields);
    }
  }
});
