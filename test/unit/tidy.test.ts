// House rules no linter knows.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const sources = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts", "*.mjs"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && !file.includes("generated/"));
const read = (file: string): string => readFileSync(join(root, file), "utf8");

it("spells subjects and buckets in one file only", () => {
  const spelling = /[`"'](swain\.\$\{cluster|swain_\$\{|SWAIN_\$\{[^}]*\}_EVENTS)/;
  const offenders = sources.filter((file) => /^(services|cli)\//.test(file) && spelling.test(read(file)));
  expect(offenders).toEqual(["services/bus/subjects.ts"]);
});

it("leaves no unfinished work behind", () => {
  // Spelled apart, so that this file does not name itself.
  const marks = /\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b/;
  expect(sources.filter((file) => marks.test(read(file)))).toEqual([]);
});

it("opens every process's main file with what it is", () => {
  const mains = sources.filter((file) => /^services\/\w+\/main\.ts$/.test(file));
  for (const file of mains) expect(read(file).startsWith("//"), file).toBe(true);
  expect(mains.length).toBeGreaterThan(0);
});
