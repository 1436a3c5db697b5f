import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readManifests } from "../../cli/manifests/read.ts";
import type { LoadedManifest } from "../../cli/manifests/read.ts";
import { checkSize } from "../../cli/manifests/size.ts";
import { toFitOneEvent } from "../../services/controller/term/batch.ts";
import { admitApply } from "../../services/core/admit/apply.ts";
import { emptyState } from "../../services/core/fold/fold.ts";
import type { SwainError } from "../../services/kernel/errors.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "swain-manifests-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, content: string): void => writeFileSync(join(folder, name), content);
const read = (sources: string[], input = ""): Promise<readonly LoadedManifest[]> =>
  readManifests({ sources, workingDirectory: folder, input: async () => input });

/** The lines a refused reading tells, `place: message`. */
async function refusal(sources: string[], input = ""): Promise<string[]> {
  const error = await read(sources, input).then(
    () => undefined,
    (thrown: unknown) => thrown as SwainError,
  );
  expect(error).toMatchObject({ code: "INVALID_MANIFEST", exit: 2 });
  const located = error?.details.located as { place: string; message: string }[];
  return located.map(({ place, message }) => `${place}: ${message}`);
}

const workload = (name: string, image = "nginx"): string => `apiVersion: swain/v1
kind: Workload
metadata: { name: ${name} }
spec:
  containers:
    - name: main
      image: ${image}
`;

test("a folder gives its yaml, yml and json files sorted, not those of folders below", async () => {
  file("b.yml", workload("b"));
  file("a.yaml", `# a comment\n---\n${workload("a")}---\n# nothing here\n---\n${workload("a2")}`);
  file(
    "c.json",
    JSON.stringify({
      apiVersion: "swain/v1",
      kind: "Service",
      metadata: { name: "c" },
      spec: { selector: { workload: "x" }, ports: [{ port: 80, targetPort: 80 }] },
    }),
  );
  file("notes.txt", "not a manifest");
  mkdirSync(join(folder, "below"));
  writeFileSync(join(folder, "below", "d.yaml"), workload("d"));
  const loaded = await read([folder]);
  expect(loaded.map(({ manifest }) => manifest.metadata.name)).toEqual(["a", "a2", "b", "c"]);
});

test("standard input is read for -", async () => {
  expect((await read(["-"], workload("web")))[0]?.manifest.metadata.name).toBe("web");
});

test("a file named twice is read once", async () => {
  file("a.yaml", workload("a"));
  expect(await read(["a.yaml", "a.yaml"])).toHaveLength(1);
});

test("every problem of every file is told at once, with file, line, column and the value", async () => {
  file(
    "bad.yaml",
    `apiVersion: swain/v1
kind: Workload
metadata:
  name: Web
spec:
  replica: 3
  replicas: "3"
  containers:
    - name: web
      image: nginx
      ports:
        - name: http
          containerPort: 70000
      env: &env
        - { name: A, value: 1 }
    - name: web
      image: nginx
---
kind: Worklod
`,
  );
  file("worse.yaml", "a: 1\na: 2\nb: [1\n");
  expect(await refusal(["bad.yaml", "worse.yaml", "none.yaml"])).toEqual([
    expect.stringMatching(/^bad\.yaml:4:9: name has the wrong form: a DNS label: .* \("Web"\)$/),
    'bad.yaml:6:3: unknown field "replica"; did you mean "replicas"? (3)',
    expect.stringMatching(/^bad\.yaml:7:13: replicas must be a whole number, not text: .* \("3"\)$/),
    "bad.yaml:13:26: containerPort must be between 1 and 65535 (70000)",
    "bad.yaml:15:29: value must be text, not a whole number (1)",
    'bad.yaml:16:13: a container of this name is there already ("web")',
    'bad.yaml:19:1: apiVersion is missing; write "apiVersion: swain/v1"',
    "bad.yaml:19:1: metadata is missing",
    "bad.yaml:19:1: spec is missing",
    'bad.yaml:19:7: unknown kind; did you mean "Workload"? ("Worklod")',
    "worse.yaml:2:1: this key is there already in the same mapping",
    expect.stringMatching(/^worse\.yaml:4:1: bad YAML: /),
    "none.yaml: there is no such file",
  ]);
});

test("an object given twice, also in another file, is a problem of the second place", async () => {
  file("a.yaml", workload("web"));
  file("b.yaml", workload("web"));
  expect(await refusal(["a.yaml", "b.yaml"])).toEqual([
    'b.yaml:3:19: workload default/web is there already in what is applied together ("web")',
  ]);
});

test("an alias bomb is refused, ordinary aliases are not", async () => {
  const bomb = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
  for (const [index, name] of ["b", "c", "d", "e", "f", "g", "h"].entries()) {
    const before = "abcdefg"[index];
    bomb.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(", ")}]`);
  }
  expect(await refusal(["-"], bomb.join("\n"))).toEqual([
    "<stdin>:1:1: this document repeats itself through aliases more than 100 times",
  ]);
  const aliased = `${workload("web")}      resources: { requests: &r { cpu: 100m }, limits: *r }\n`;
  const [loaded] = await read(["-"], aliased);
  expect(loaded?.manifest.spec).toMatchObject({ containers: [{ resources: { limits: { cpu: "100m" } } }] });
});

test("an alias of what it stands in is refused in its place", async () => {
  const head = "apiVersion: swain/v1\nkind: Workload\nmetadata: { name: web }\n";
  expect(await refusal(["-"], `${head}spec: &x\n  containers: *x\n`)).toEqual([
    "<stdin>:5:15: the alias *x stands inside of what it repeats, without end",
  ]);
  // Also by a way round, and in a list; a name that is used again is the newer one.
  expect(await refusal(["-"], "a: &a\n  b: &b { c: *a }\n  d: *b\n")).toEqual([
    "<stdin>:2:14: the alias *a stands inside of what it repeats, without end",
  ]);
  expect(await refusal(["-"], "- &x [1, *x]\n")).toEqual([
    "<stdin>:1:10: the alias *x stands inside of what it repeats, without end",
  ]);
  const again = `${workload("web")}      resources: { requests: &r { cpu: 100m }, limits: &r { cpu: 200m } }\n      env: []\n`;
  expect(await read(["-"], again)).toHaveLength(1);
});

test("nothing to apply is an error", async () => {
  await expect(read(["-"], "# only a comment\n")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(await refusal([folder])).toEqual([`${folder}: no .yaml, .yml or .json file in this folder`]);
});

test("the working directory of a process becomes absolute against the manifest's folder", async () => {
  const process = (name: string, extra: string): string => `apiVersion: swain/v1
kind: Workload
metadata: { name: ${name} }
spec: { containers: [{ name: main, process: { command: [node, x.mjs]${extra} } }] }
`;
  mkdirSync(join(folder, "app"));
  writeFileSync(
    join(folder, "app", "all.yaml"),
    [process("none", ""), process("relative", ", workingDir: src"), process("absolute", ", workingDir: /opt")].join(
      "---\n",
    ),
  );
  const directories = (loaded: readonly LoadedManifest[]): unknown[] =>
    loaded.map(({ manifest }) =>
      manifest.kind === "Workload" ? manifest.spec.containers[0]?.process?.workingDir : "",
    );
  expect(directories(await read(["app/all.yaml"]))).toEqual([join(folder, "app"), join(folder, "app", "src"), "/opt"]);
  expect(directories(await read(["-"], process("stdin", "")))).toEqual([folder]);
});

test("of many small documents what counts is their size with defaults, and each part said then is taken", async () => {
  const text = Array.from(
    { length: 900 },
    (_, index) => `apiVersion: swain/v1
kind: Workload
metadata: { name: w${index} }
spec: { containers: [{ name: main, image: "registry/app:1", ports: [{ name: http, containerPort: 80 }] }] }
`,
  );
  const loaded = await read(["-"], text.join("---\n"));
  expect(() => checkSize(loaded)).toThrow(/^900 documents together of \d+ KiB, \d+ KiB with defaults; .* a new part/);
  const most = loaded.findIndex((_, at) => {
    try {
      checkSize(loaded.slice(0, at + 1));
      return false;
    } catch {
      return true;
    }
  });
  expect(most).toBeGreaterThan(500);
  const documents = loaded.slice(0, most).map(({ manifest }) => manifest);
  expect(() => toFitOneEvent(admitApply(emptyState(), documents).items)).not.toThrow();
});

test("an apply that is too large says where to split", async () => {
  const big = Array.from({ length: 5 }, (_, index) =>
    workload(`w${index}`).replace(
      "image: nginx",
      `image: nginx\n      env: [{ name: BIG, value: "${"x".repeat(90_000)}" }]`,
    ),
  );
  const loaded = await read(["-"], big.join("---\n"));
  expect(() => checkSize(loaded.slice(0, 2))).not.toThrow();
  expect(() => checkSize(loaded)).toThrow(
    expect.objectContaining({
      code: "APPLY_TOO_LARGE",
      message: expect.stringContaining("Apply them in 3 parts; a new part begins at <stdin>:19, <stdin>:37"),
    }),
  );
  const [first] = big;
  const alone = await read(["-"], first?.replace("x".repeat(90_000), "x".repeat(900_000)));
  expect(() => checkSize(alone)).toThrow(/^1 document of 880 KiB; .* too large by itself$/);
});
