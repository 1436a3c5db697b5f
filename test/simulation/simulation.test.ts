// The simulation as CI runs it: on fresh seeds for a fixed time, on seeds that once failed, and against deliberate bugs.
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bugs, withBug } from "./bugs.ts";
import { kept } from "./kept.ts";

const root = join(import.meta.dirname, "../..");
const build = join(root, "build");
/** Of this run alone; what fails is printed with the seed that shows it again. */
const fresh = `fresh-${Date.now().toString(36)}`;
const freshSeconds = process.env["CI"] === undefined ? 5 : 10;

/** Bugs that show within minutes of a cluster, and by what. */
const quick = [
  { name: "ack before append", invariant: "1" },
  { name: "drained before proxies acked", invariant: "7" },
  { name: "operation id forgotten at takeover", invariant: "1" },
  { name: "a pod is stopped that its node was not told to stop", invariant: "10" },
];

function sim(...words: string[]): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    const path = join(build, "test/simulation/main.js");
    execFile(process.execPath, [path, ...words], { maxBuffer: 1 << 28 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, text: stdout + stderr }),
    );
  });
}

describe("the simulation", () => {
  it("runs the same way twice from one seed, byte for byte", async () => {
    const once = (): Promise<{ text: string }> => sim("--seed", "twice", "--minutes", "4", "--trace");
    const [one, two] = await Promise.all([once(), once()]);
    const lines = (text: string): string[] => text.split("\n").filter((line) => !line.startsWith("seed "));
    expect(lines(one.text).length).toBeGreaterThan(100);
    expect(lines(two.text)).toEqual(lines(one.text));
    const other = await sim("--seed", "thrice", "--minutes", "4", "--trace");
    expect(lines(other.text)).not.toEqual(lines(one.text));
  });

  it.each([
    ["a server that syncs each write", []],
    ["one that loses its end in a power cut", ["--unsynced"]],
  ])(`holds every invariant on fresh seeds for ${freshSeconds} s, with %s`, { timeout: 180_000 }, async (_, mode) => {
    const { code, text } = await sim("--seed", fresh, "--seconds", String(freshSeconds), "--minutes", "10", ...mode);
    console.log(text.trimEnd().split("\n").slice(-2).join("\n"));
    expect(code, text).toBe(0);
  });

  it.each(kept)(
    "still holds where it once did not: $why",
    { timeout: 180_000 },
    async ({ seed, minutes, unsynced }) => {
      const { code, text } = await sim(
        "--seed",
        seed,
        "--minutes",
        String(minutes),
        ...(unsynced ? ["--unsynced"] : []),
      );
      expect(code, text).toBe(0);
    },
  );
});

describe("a deliberate bug", () => {
  it.each(bugs)("has its place in the program: $name", (bug) => {
    rmSync(withBug(build, join(root, "node_modules"), bug), { recursive: true });
  });

  it.each(quick)("is found: $name", { timeout: 180_000 }, async ({ name, invariant }) => {
    const { code, text } = await sim("--bug", name, "--seeds", "2", "--minutes", "6");
    expect(code, text).toBe(0);
    expect(text).toContain(`invariant ${invariant}`);
  });
});
