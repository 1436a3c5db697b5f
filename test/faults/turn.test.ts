// Over the commits, CI runs every fault on every server.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { turnOf, turns } from "./turn.mjs";

const commit = (number: number): string => createHash("sha1").update(`commit ${number}`).digest("hex");

it("the turns of CI are all faults of the report but those of every run", () => {
  const all = turns();
  for (const turn of all) expect(existsSync(join(import.meta.dirname, turn.split(" ")[0] ?? "")), turn).toBe(true);
  expect(all).toEqual(expect.arrayContaining(["cut-off.fault.ts current", "cut-off.fault.ts old"]));
  expect(all).toContain("processes.short.fault.ts old");
  expect(all).not.toContain("processes.short.fault.ts current");
});

it("each turn comes, and a commit has the same turn each time", () => {
  const seen = new Set(Array.from({ length: 1000 }, (_, number) => turnOf(commit(number))));
  expect([...seen].toSorted()).toEqual(turns().toSorted());
  expect(turnOf(commit(1))).toBe(turnOf(commit(1)));
});
