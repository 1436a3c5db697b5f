// What a run prints of a test that passed only when it was tried again.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

it("tells why a test needed its second try, and nothing of one that did not", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-second-tries-"));
  try {
    const reporter = JSON.stringify(join(root, "test/support/second-tries.ts"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "vitest.config.ts"),
      `import { SecondTries } from ${reporter};
      export default { test: { globals: true, retry: 1, reporters: [new SecondTries()] } };`,
    );
    writeFileSync(
      join(folder, "a.test.ts"),
      `let tries = 0;
      it("stalls once", () => { tries += 1; expect(tries).toBe(2); });
      it("does well", () => {});`,
    );
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [vitest, "run"], { cwd: folder });
    expect(stdout.match(/first try of .*/g)).toEqual([
      "first try of stalls once: expected 1 to be 2 // Object.is equality",
    ]);
    expect(stdout).toMatch(/a\.test\.ts:2:\d+/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
