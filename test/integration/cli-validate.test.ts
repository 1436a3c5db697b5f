// `swain validate` as a shell sees it: the built program, files in a folder, no cluster anywhere.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { root, swain } from "../support/cluster.ts";
import type { Result } from "../support/cluster.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "swain-validate-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

// A server that is not there: validate must not care.
const validate = (args: readonly string[], input = ""): Promise<Result> =>
  swain(["validate", ...args], { cwd: folder, input, env: { SWAIN_SERVER: "nats://127.0.0.1:1" } });

const good = `apiVersion: swain/v1
kind: Workload
metadata: { name: web }
spec:
  containers: [{ name: main, image: nginx }]
`;
const bad = good.replace("spec:", "spec:\n  replcas: 3\n  replicas: many");

test("what is right is said with exit code 0, from files, folders and standard input", async () => {
  writeFileSync(join(folder, "web.yaml"), good);
  expect(await validate(["-f", "web.yaml"])).toEqual({
    code: 0,
    stdout: "1 manifest in 1 file: no problem found\n",
    stderr: "",
  });
  expect((await validate(["-f", "."])).code).toBe(0);
  expect((await validate(["-f", "-"], good)).code).toBe(0);
  const { stdout } = await swain(["validate", "-f", join(root, "examples/hello"), "-o", "json"]);
  const { valid, objects } = JSON.parse(stdout) as { valid: boolean; objects: { kind: string; place: string }[] };
  expect(valid).toBe(true);
  expect(objects.map(({ kind }) => kind).toSorted()).toEqual(["Service", "Workload"]);
  expect(objects[0]?.place).toMatch(/\.yaml:\d+:1$/);
});

test("every problem of every file is shown in its place with exit code 2", async () => {
  writeFileSync(join(folder, "a.yaml"), bad);
  writeFileSync(join(folder, "b.yaml"), "a: [1\n");
  const { code, stdout, stderr } = await validate(["-f", "a.yaml", "-f", "b.yaml", "-f", "none.yaml"]);
  expect([code, stderr]).toEqual([2, ""]);
  expect(stdout).toContain(`a.yaml:5:3: UNKNOWN_FIELD: unknown field "replcas"; did you mean "replicas"? (3)
  3 | metadata: { name: web }
  4 | spec:
> 5 |   replcas: 3
    |   ^^^^^^^
  6 |   replicas: many
`);
  expect(stdout).toMatch(/^a\.yaml:6:13: WRONG_TYPE: replicas must be a whole number/m);
  expect(stdout).toMatch(/^ {4}\| {13}\^{4}$/m);
  expect(stdout).toMatch(/^b\.yaml:2:1: BAD_YAML: /m);
  expect(stdout).toMatch(/^none\.yaml: FILE_UNREADABLE: there is no such file$/m);
  expect(stdout).toMatch(/\n4 problems in 3 files\n$/);
  expect(stdout).not.toContain("\u001B");
});

test("programs get the problems as JSON", async () => {
  const { code, stdout } = await validate(["-f", "-", "-o", "json"], bad);
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({
    valid: false,
    files: ["<stdin>"],
    problems: [
      { file: "<stdin>", line: 5, column: 3, code: "UNKNOWN_FIELD" },
      { file: "<stdin>", line: 6, column: 13, code: "WRONG_TYPE" },
    ],
  });
});

test("no manifest, and more than one apply takes, are problems too", async () => {
  expect(await validate(["-f", "-"], "# only a comment\n")).toMatchObject({
    code: 2,
    stdout: expect.stringContaining("<stdin>: INVALID_ARGUMENT: no manifest in it\n") as string,
  });
  const big = ["a", "b", "c"].map((name) =>
    good.replace("web", name).replace("image: nginx", `image: nginx, args: ["${"x".repeat(90_000)}"]`),
  );
  const { code, stdout } = await validate(["-f", "-"], big.join("---\n"));
  expect([code, stdout]).toEqual([2, expect.stringContaining("APPLY_TOO_LARGE: 3 documents together of ")]);
  expect(stdout).toContain("a new part begins at <stdin>:13\n");
});
