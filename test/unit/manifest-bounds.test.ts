// What an apply of nonsense may cost the leader, whose loop checks it: an apply has up to 200 KiB.
import { expect, test } from "vitest";
import { manifestSchemas } from "../../schemas/generated/manifest-schemas.ts";
import type { Problem } from "../../schemas/generated/types.ts";
import { admitApply } from "../../services/core/admit/apply.ts";
import { emptyState } from "../../services/core/fold/fold.ts";
import { checkManifest } from "../../services/core/manifest.ts";
import { SwainError } from "../../services/kernel/errors.ts";

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const workload = (containers: unknown[]): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "web" },
  spec: { containers },
});
const withEnv = (env: unknown[]): object => workload([{ name: "main", image: "app:1", env }]);

function refused(documents: unknown[]): SwainError {
  try {
    admitApply(emptyState(), documents);
  } catch (error) {
    if (error instanceof SwainError) return error;
    throw error;
  }
  throw new Error("it was admitted");
}

test.each([
  ["entries of nothing", [withEnv(times(65_000, () => ({})))]],
  ["containers of nothing", [workload(times(60_000, () => ({})))]],
  ["containers with checks", [workload(times(10_000, () => ({ readiness: {} })))]],
  [
    "full lists in every container",
    [workload(times(16, () => ({ env: times(512, () => ({})), args: times(256, () => 1) })))],
  ],
  ["many documents", times(1000, () => workload([]))],
])("%s are refused at once", (_, documents) => {
  const began = performance.now();
  expect(refused(documents).code).toBe("INVALID_MANIFEST");
  expect(performance.now() - began).toBeLessThan(1000);
});

test("a hundred problems are told of one apply, and that there are more", () => {
  const { message, details } = refused([withEnv(times(200, () => ({})))]);
  expect(message).toBe("The manifests have more than 100 problems; the first 100 are told.");
  expect(details["problems"]).toHaveLength(100);
  const fifty = refused([withEnv([]), withEnv(times(50, () => ({ value: "" })))]);
  expect(fifty.message).toBe("The manifests have 50 problems.");
  expect(new Set((fifty.details["problems"] as Problem[]).map(({ document }) => document))).toEqual(new Set([1]));
});

test("a list or a mapping that is too long is one problem, beside those of the entries it may have", () => {
  const told = (document: object): string[] => checkManifest(document).map(({ path, message }) => `${path} ${message}`);
  expect(told(workload([{ name: 7 }, ...times(40, () => ({ name: 8 }))]))).toEqual(
    expect.arrayContaining(["/spec/containers containers must have at most 16 entries"]),
  );
  const env = [{ name: 7, value: "" }, ...times(600, (index) => ({ name: `V${index}`, value: "" })), { name: 8 }];
  expect(told(withEnv(env))).toEqual([
    "/spec/containers/0/env env must have at most 512 entries",
    expect.stringContaining("/spec/containers/0/env/0/name name must be text, not a whole number"),
  ]);
  const labels = Object.fromEntries(times(70, (index) => [`l${index}`, ""]));
  expect(told({ ...workload([{ name: "main", image: "app:1" }]), metadata: { name: "web", labels } })).toEqual([
    "/metadata/labels labels must have at most 64 entries",
  ]);
});

test("every list and every mapping of free keys in a manifest has a most", () => {
  const open: string[] = [];
  const look = (node: unknown, place: string): void => {
    if (typeof node !== "object" || node === null) return;
    const { type, maxItems, additionalProperties, maxProperties } = node as Record<string, unknown>;
    if (type === "array" && maxItems === undefined) open.push(place);
    if (typeof additionalProperties === "object" && maxProperties === undefined) open.push(place);
    for (const [key, value] of Object.entries(node)) look(value, `${place}/${key}`);
  };
  look(manifestSchemas, "");
  expect(open).toEqual([]);
});
