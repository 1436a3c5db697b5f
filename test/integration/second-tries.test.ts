// What a run prints of a test that passed only when it was tried again.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { noSecondTry } from "../support/second-tries.ts";

const root = join(import.meta.dirname, "../..");

it("tells why a test needed its second try, and nothing of one that did not; a loss has none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-second-tries-"));
  try {
    const reporter = JSON.stringify(join(root, "test/support/second-tries.ts"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "vitest.config.ts"),
      `import { SecondTries, secondTry } from ${reporter};
      export default { test: { globals: true, retry: secondTry, reporters: [new SecondTries()] } };`,
    );
    writeFileSync(
      join(folder, "a.test.ts"),
      `let tries = 0;
      it("stalls once", () => { tries += 1; expect(tries).toBe(2); });
      it("does well", () => {});
      let runs = 0;
      it("loses once", () => { runs += 1; expect(runs - 1, "${noSecondTry}").toBe(1); });`,
    );
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const failed: unknown = await promisify(execFile)(process.execPath, [vitest, "run"], { cwd: folder }).catch(
      (error: unknown) => error,
    );
    const { stdout } = failed as { readonly stdout: string };
    expect(failed).toMatchObject({ code: 1 });
    expect(stdout.match(/first try of .*/g)).toEqual([
      "first try of stalls once: expected 1 to be 2 // Object.is equality",
    ]);
    expect(stdout).toMatch(/a\.test\.ts:2:\d+/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
