import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { event as isEvent } from "../../schemas/generated/messages.js";
import { errorKinds } from "../../services/kernel/errors.ts";
import { version } from "../../services/kernel/version.ts";

const root = join(import.meta.dirname, "../..");

type Json = Record<string, unknown>;

/** One item of each kind and verb that the recordings of the fault runs hold. */
function recordedItems(): Json[] {
  const folder = join(root, "test/faults/runs");
  const lines = readdirSync(folder).flatMap((file) =>
    gunzipSync(readFileSync(join(folder, file)))
      .toString()
      .trim()
      .split("\n"),
  );
  const events = lines.map((line) => JSON.parse(line) as { event?: { items?: Json[] } });
  const items = events.flatMap(({ event }) => event?.items ?? []);
  return [...new Map(items.map((item) => [`${String(item["kind"])} ${String(item["verb"])}`, item])).values()];
}

describe("the contract", () => {
  it("has generated types and validators that match the schemas", () => {
    const out = mkdtempSync(join(tmpdir(), "swain-schemas-"));
    try {
      execFileSync(process.execPath, [join(root, "schemas/generate.mjs"), "--out", out]);
      for (const file of readdirSync(out)) {
        const fresh = readFileSync(join(out, file), "utf8");
        const kept = readFileSync(join(root, "schemas/generated", file), "utf8");
        expect(kept === fresh, `${file} is out of date: npm run generate`).toBe(true);
      }
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  it("has a validator of events that takes and refuses what the schema does, item by item", () => {
    const ajv = new Ajv2020({ strict: false });
    for (const file of readdirSync(join(root, "schemas/messages"))) {
      ajv.addSchema(JSON.parse(readFileSync(join(root, "schemas/messages", file), "utf8")) as object);
    }
    for (const file of readdirSync(join(root, "schemas/manifest"))) {
      ajv.addSchema(JSON.parse(readFileSync(join(root, "schemas/manifest", file), "utf8")) as object);
    }
    const plain = ajv.getSchema("urn:swain:event");
    if (plain === undefined) throw new Error("no schema of events");
    const items = recordedItems();
    const verdicts = { taken: 0, refused: 0 };
    const compare = (item: Json): void => {
      const whole = { schema: 1, logId: "l", epoch: 1, id: "i", prev: "", time: 0, cause: "x", items: [item] };
      const verdict = isEvent(whole);
      expect(verdict, JSON.stringify(item)).toBe(plain(whole));
      verdicts[verdict ? "taken" : "refused"] += 1;
    };
    for (const item of items) {
      compare(item);
      for (const [key, value] of Object.entries(item)) {
        const { [key]: _, ...rest } = item;
        compare(rest);
        compare({ ...item, [key]: typeof value === "string" ? 7 : "x" });
        compare({ ...item, [key]: null });
        compare({ ...item, [key]: "no such word" });
      }
      compare({ ...item, later: 1 });
      for (const other of items) compare({ ...item, kind: other["kind"], verb: other["verb"] });
    }
    expect(verdicts.taken).toBeGreaterThan(15);
    expect(verdicts.refused).toBeGreaterThan(500);
  });

  it("has the version of package.json", () => {
    expect(version).toBe(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);
  });

  it("says for every error what to do, in a sentence", () => {
    for (const [code, { action }] of Object.entries(errorKinds)) {
      expect(action, code).toMatch(/^[A-Z`].*[.]$/s);
    }
  });
});
