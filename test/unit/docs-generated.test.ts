// The pages made from the code are those of the code.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commands } from "../../cli/commands.ts";
import { errorKinds } from "../../services/kernel/errors.ts";
import { meanings } from "../../services/kernel/meanings.ts";
import { root } from "../support/cluster.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "swain-docs-"));
  execFileSync(process.execPath, [join(root, "services/docs/generate.mjs"), "--out", folder]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(["reasons.md", "cli.md"])("services/docs/%s is what `npm run generate` makes", (page) => {
  const now = readFileSync(join(root, "services/docs", page), "utf8");
  expect(now, "run `npm run generate`").toBe(readFileSync(join(folder, page), "utf8"));
});

test("every code stands on its page with its cure, every command with its options", () => {
  const reasons = readFileSync(join(folder, "reasons.md"), "utf8");
  for (const [code, { action }] of Object.entries(errorKinds)) {
    expect(reasons).toContain(`| \`${code}\` | `);
    expect(reasons).toContain(action.replaceAll("|", "\\|"));
  }
  for (const sentence of Object.values(meanings)) expect(reasons).toContain(sentence);
  const cli = readFileSync(join(folder, "cli.md"), "utf8");
  for (const { name, hidden } of commands) if (hidden !== true) expect(cli).toContain(`\n## \`swain ${name}\`\n`);
  expect(cli).toContain("| `-f, --file FILE\\|DIR\\|-` |");
});
