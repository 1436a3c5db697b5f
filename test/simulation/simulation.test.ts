// The simulation as CI runs it: on fresh seeds for a fixed time, on seeds that once failed, and against deliberate bugs.
import { execFile, spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bugs, withBug } from "./bugs.ts";
import type { Bug } from "./bugs.ts";
import type { Fault, FaultKind } from "./faults.ts";
import { kept } from "./kept.ts";
import type { simulate as Simulate } from "./simulate.ts";
import { surgedReplicas } from "./wishes.ts";

const root = join(import.meta.dirname, "../..");
const build = join(root, "build");
/** Of this run alone; what fails is printed with the seed that shows it again. */
const fresh = `fresh-${Date.now().toString(36)}`;
const freshSeconds = process.env["CI"] === undefined ? 5 : 10;

/** Bugs that show within minutes of a cluster are hunted for each time, of others each commit has its share … */
const quickHours = 0.25;
/** … but for those that `npm run sim -- --bug all` takes minutes to find. */
const mostHours = 15;
const turns = 10;
const commit = headOf(root);
const turn = Number.parseInt(commit.slice(0, 8), 16) % turns;
const hunted = bugs
  .toSorted((a, b) => a.hours - b.hours)
  .filter(({ hours }, at) => hours <= quickHours || (hours <= mostHours && at % turns === turn));

/** The commit that is tested; where there is no repository, the same for all. */
function headOf(folder: string): string {
  const { status, stdout } = spawnSync("git", ["rev-parse", "HEAD"], { cwd: folder, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "0";
}

const sim = (...words: string[]): Promise<{ code: number; text: string }> => simOf(build, ...words);

/** The simulation of the program in that folder. */
function simOf(folder: string, ...words: string[]): Promise<{ code: number; text: string }> {
  return new Promise((resolve) => {
    const path = join(folder, "test/simulation/main.js");
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

  it.each(kept)("still holds where it once did not: $why", { timeout: 180_000 }, async ({ seed, minutes, servers }) => {
    const { code, text } = await sim("--seed", seed, "--minutes", `${minutes}`, "--servers", `${servers}`);
    expect(code, text).toBe(0);
  });
});

describe("a workload that goes from one replica to a thousand and back", () => {
  it("has all of them among faults, and leaves nothing behind", { timeout: 180_000 }, async () => {
    const fault = (at: number, kind: FaultKind, whom: readonly string[], forMs: number): Fault => ({
      at,
      kind,
      whom,
      forMs,
      strength: 0.5,
    });
    const faults = [
      fault(15_000, "surge", [], 100_000),
      // It is asked for within a minute: whatever goes wrong from here on meets it on its way, or whole.
      ...[20, 40, 60, 80].flatMap((second) => [
        fault(second * 1000, "kill", ["leader"], 1000),
        fault(second * 1000 + 3000, "cutSome", ["n1", "n2", "n3"], 18_000),
        fault(second * 1000 + 6000, "crash", ["n4"], 4000),
        fault(second * 1000 + 8000, "lossy", ["n5"], 8000),
        fault(second * 1000 + 12_000, "killContainers", ["n6"], 0),
      ]),
      // And on its way back.
      ...[120, 130, 140, 150].flatMap((second) => [
        fault(second * 1000, "pause", ["leader"], 4000),
        fault(second * 1000 + 5000, "busKill", [], 1000),
        fault(second * 1000 + 7000, "crash", ["n7"], 2000),
      ]),
    ];
    const running = new Set<string>();
    let most = 0;
    const onLine = (line: string): void => {
      const [, node, verb, pod] = /^\S+ (n\d+) (starts|ends) a container .*default\/(many-\d+)/.exec(line) ?? [];
      if (verb === "starts") running.add(`${node} ${pod}`);
      else running.delete(`${node} ${pod}`);
      most = Math.max(most, running.size);
    };
    const { simulate } = (await import(join(build, "test/simulation/simulate.js"))) as { simulate: typeof Simulate };
    const { violations } = await simulate({ seed: "surge", minutes: 3, synced: true, faults, traceLines: 1, onLine });
    expect(violations).toEqual([]);
    expect(most).toBeGreaterThanOrEqual(surgedReplicas);
  });
});

describe("a deliberate bug", () => {
  it.each(bugs)("has its place in the program: $name", (bug) => {
    rmSync(withBug(build, join(root, "node_modules"), bug), { recursive: true });
  });

  it.each(hunted)(
    `is found within its budget (turn ${turn + 1} of ${turns}, by commit ${commit.slice(0, 8)}): $name`,
    { timeout: 300_000 },
    async ({ name, invariants }) => {
      const { code, text } = await sim("--bug", name);
      console.log(text.split("\n")[1]);
      expect(code, text).toBe(0);
      const [, invariant] = /^ {2}invariant (\w+): /m.exec(text) ?? [];
      expect(invariants).toContain(invariant);
    },
  );
});

/** The script of faults as a report prints it. */
const scriptOf = (text: string): Fault[] =>
  [...text.matchAll(/^ {4}([\d.]+) s: (\w+)((?: \w+)*), for (\d+) ms, strength ([\d.]+)$/gm)].map(
    ([, at, kind, whom, forMs, strength]) => ({
      at: Number(at) * 1000,
      kind: kind as FaultKind,
      whom: (whom as string).split(" ").filter((name) => name !== ""),
      forMs: Number(forMs),
      strength: Number(strength),
    }),
  );

describe("the report of a world that fails", () => {
  it(
    "names as few faults as make it fail the same way, and the last of what happened",
    { timeout: 180_000 },
    async () => {
      const bug = bugs.find(({ name }) => name === "operation id forgotten at takeover") as Bug;
      const folder = withBug(build, join(root, "node_modules"), bug);
      try {
        let text = "";
        for (let nth = 1; nth <= 20 && !text.includes("enough"); nth += 1) {
          const words = ["--seed", `shrink-${nth}`, "--minutes", "6", "--first", "--shrink", "15"];
          ({ text } = await simOf(folder, ...words));
        }
        const [, seed] = /^seed (\S+): /.exec(text) ?? [];
        const [, all, enough] = /of (\d+) faults (\d+) are enough/.exec(text) ?? [];
        const [, invariant] = /invariant (\w+): /.exec(text) ?? [];
        const faults = scriptOf(text);
        expect(faults.length, text).toBe(Number(enough));
        expect(faults.length * 3, text).toBeLessThan(Number(all));
        expect(text.split("what happened last:")[1]?.split("\n").length, text).toBeGreaterThan(10);
        // No change is forgotten without a takeover, and there is none without a fault.
        const { simulate } = (await import(join(folder, "test/simulation/simulate.js"))) as {
          simulate: typeof Simulate;
        };
        const plan = { seed: seed as string, minutes: 6, synced: true, traceLines: 0, stopsAtFirst: true };
        const invariants = async (script: Fault[]): Promise<string[]> =>
          (await simulate({ ...plan, faults: script })).violations.map(({ invariant }) => invariant);
        expect((await invariants(faults))[0]).toBe(invariant);
        expect(await invariants([])).toEqual([]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
