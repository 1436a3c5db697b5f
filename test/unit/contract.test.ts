import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errorKinds } from "../../services/kernel/errors.ts";
import { version } from "../../services/kernel/version.ts";

const root = join(import.meta.dirname, "../..");

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

  it("has the version of package.json", () => {
    expect(version).toBe(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);
  });

  it("says for every error what to do, in a sentence", () => {
    for (const [code, { action }] of Object.entries(errorKinds)) {
      expect(action, code).toMatch(/^[A-Z`].*[.]$/s);
    }
  });
});
