import { expect, test } from "vitest";
import { featuresOf } from "../../services/bus/features.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";

test.each([
  ["2.9.10", false, false],
  ["2.10.0", false, true],
  ["2.11.16", false, true],
  ["2.12.6", false, true],
  ["2.12.7", true, true],
  ["2.14.2", false, true],
  ["2.14.3", true, true],
  ["2.15.0-RC.1", true, true],
  ["v3.0.0", true, true],
  ["", false, false],
  ["unknown", false, false],
])("nats-server %s is good for production: %s, syncs always: %s", (version, production, syncAlways) => {
  expect(featuresOf(version)).toMatchObject({ version, production, syncAlways });
});

test("ids are 22 lower-case letters and digits, and no two are equal", () => {
  const ids = Array.from({ length: 2000 }, () => systemIds.next());
  expect(ids.every((id) => /^[0-9a-z]{22}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(2000);
  // Every sign is used: none is left out by an unfair draw.
  expect(new Set(ids.join("")).size).toBe(36);
});
