import { expect, test } from "vitest";
import { parse } from "yaml";
import type { PodObject } from "../../schemas/generated/types.ts";
import { errorText } from "../../cli/output/error.ts";
import { objectsText } from "../../cli/output/objects.ts";
import type { ObjectView } from "../../cli/output/objects.ts";
import { harmless, table, textWidth } from "../../cli/output/table.ts";
import { ageText, cpuText, memoryText } from "../../cli/output/units.ts";
import { SwainError } from "../../services/kernel/errors.ts";

const pod = (name: string, status: Partial<PodObject["status"]> = {}): Record<string, unknown> => ({
  apiVersion: "swain/v1",
  kind: "Pod",
  metadata: { name, namespace: "shop", labels: {} },
  spec: { workload: "web", slot: 0, template: 4, node: "n1" },
  status: {
    state: "ready",
    since: 0,
    created: 0,
    reason: "",
    message: "",
    restarts: 0,
    possiblyRunning: false,
    ...status,
  },
  logId: "log",
  sequence: 7,
});
const view: ObjectView = { resource: "pod", format: "table", namespaced: false, color: false, now: 192_000 };

test("a table lines up plain columns and pads no last one", async () => {
  const pods = [
    pod("web-1"),
    pod("web-22", { state: "failed", reason: "IMAGE_NOT_FOUND", message: "no such image x:1" }),
  ];
  expect(await objectsText(pods, view, false)).toBe(
    [
      "NAME     STATE    RESTARTS   NODE   AGE     REASON",
      "web-1    ready    0          n1     3m12s",
      "web-22   failed   0          n1     3m12s   IMAGE_NOT_FOUND: no such image x:1",
      "",
    ].join("\n"),
  );
});

test("a lost pod whose copy may still run says so", async () => {
  const text = await objectsText([pod("web-1", { state: "lost", possiblyRunning: true })], view, false);
  expect(text).toContain("lost (possibly running)");
});

test("with all namespaces the namespace comes first; wide adds columns", async () => {
  const text = await objectsText([pod("web-1")], { ...view, namespaced: true, format: "wide" }, false);
  expect(text.split("\n")[0]).toMatch(/^NAMESPACE +NAME +STATE +RESTARTS +NODE +AGE +WORKLOAD +ADDRESSES +REASON$/);
});

test("an error moves no cursor with what it repeats of manifests and programs, and keeps its lines", () => {
  const located = [
    { place: "\u001B[8mweb.yaml:3:5", message: 'unknown field "\u001B[2Jreplcas"' },
    { message: "a\rb" },
  ];
  const error = new SwainError("INVALID_MANIFEST", "2 problems\n  said \u009B31mred", { details: { located } });
  const text = errorText(error);
  expect(text.split("\n").slice(0, 4)).toEqual([
    ' [8mweb.yaml:3:5: unknown field " [2Jreplcas"',
    "a b",
    "error: INVALID_MANIFEST: 2 problems",
    "  said  31mred",
  ]);
});

test("JSON and YAML write the controls above ASCII as escapes, and are read back as what they are", async () => {
  const one = { ...pod("web-1"), env: { "k\u009B": "\u009B2J\u007F", plain: "ü\u00A0" } };
  const json = await objectsText([one], { ...view, format: "json" }, true);
  const yaml = await objectsText([one], { ...view, format: "yaml" }, true);
  expect(`${json}${yaml}`).not.toMatch(/[\u007F-\u009F]/);
  expect(JSON.parse(json)).toEqual(one);
  expect(parse(yaml)).toEqual(one);
});

test("JSON and YAML are the object as it is in KV, alone or as a list", async () => {
  const one = pod("web-1");
  expect(JSON.parse(await objectsText([one], { ...view, format: "json" }, true))).toEqual(one);
  expect(JSON.parse(await objectsText([one], { ...view, format: "json" }, false))).toEqual({ items: [one] });
  expect(JSON.parse(await objectsText([], { ...view, format: "json" }, false))).toEqual({ items: [] });
  expect(await objectsText([one], { ...view, format: "yaml" }, true)).toMatch(/^apiVersion: swain\/v1\nkind: Pod\n/);
  expect(await objectsText([one, pod("web-2")], { ...view, format: "name" }, false)).toBe("pod/web-1\npod/web-2\n");
});

test("colours mark states, only where they are wanted, and do not shift columns", () => {
  const rows = [[{ text: "ready", style: "good" as const }, { text: "x" }]];
  expect(table(["STATE", "N"], rows, true)).toBe("STATE   N\n\u001B[32mready\u001B[39m   x\n");
  expect(table(["STATE", "N"], rows, false)).toBe("STATE   N\nready   x\n");
});

test("wide and combining characters take the columns a terminal gives them", () => {
  expect(["abc", "日本", "e\u0301", "한", "🙂", ""].map(textWidth)).toEqual([3, 4, 1, 2, 2, 0]);
  const lines = table(
    ["A", "B"],
    [
      [{ text: "日本" }, { text: "x" }],
      [{ text: "ab" }, { text: "y" }],
    ],
    false,
  ).split("\n");
  expect(lines).toEqual(["A      B", "日本   x", "ab     y", ""]);
});

test("text from programs and manifests cannot steer the terminal", () => {
  expect(harmless("a\u001B[2Jb\r\nc\u2028d")).toBe("a [2Jb c d");
});

test("ages are shown in two units", () => {
  const seconds = [0, 0.4, 45, 60, 192, 3600, 7260, 86_400, 442_800, -5];
  expect(seconds.map((value) => ageText(value * 1000))).toEqual([
    "0s",
    "0s",
    "45s",
    "1m",
    "3m12s",
    "1h",
    "2h1m",
    "1d",
    "5d3h",
    "0s",
  ]);
});

test("amounts are shown in the units manifests use", () => {
  expect([500, 2000, 1250, 0].map(cpuText)).toEqual(["500m", "2", "1250m", "0"]);
  expect([0, 1023, 2 ** 28, 1.5 * 2 ** 30, 12_345_678_901].map(memoryText)).toEqual([
    "0",
    "1023",
    "256Mi",
    "1.5Gi",
    "11.5Gi",
  ]);
});

test("an error says its code, what happened and what to do, after the places it found", () => {
  const located = [{ place: "web.yaml:3:5", message: "unknown field" }];
  expect(errorText(new SwainError("INVALID_MANIFEST", "1 problem found", { details: { located } }))).toBe(
    "web.yaml:3:5: unknown field\nerror: INVALID_MANIFEST: 1 problem found\n" +
      "  Correct the places named and apply again; nothing was changed.\n",
  );
  const busy = errorText(new SwainError("BUSY", "10000 requests wait", { details: { retryAfterMs: 1500 } }));
  expect(busy).toContain("Try again in 2 s.");
});
