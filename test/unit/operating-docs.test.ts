// The page on operating and the figures there are say the same.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { agentFamilies } from "../../services/agent/figures.ts";
import { controllerFamilies } from "../../services/controller/figures.ts";
import type { Family } from "../../services/kernel/figures.ts";
import { proxyFamilies } from "../../services/proxy/figures.ts";

const page = readFileSync(join(import.meta.dirname, "../../services/docs/operating.md"), "utf8");

const rowOf = ({ name, kind, labels, help }: Family): string =>
  `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`;

describe("the tables of metrics", () => {
  it.each([
    ["Controller", controllerFamilies],
    ["Agent", agentFamilies],
    ["Proxy", proxyFamilies],
  ])("name every metric of the %s and no other", (title, families) => {
    const section = page.split(`\n### ${title}\n`)[1]?.split(/\n#+ |\nWorth an alert/)[0] ?? "";
    const rows = section.split("\n").filter((line) => line.startsWith("| `"));
    expect(rows).toEqual(families.map(rowOf));
  });

  it("speak in alerts only of metrics that exist", () => {
    const known = new Set([...controllerFamilies, ...agentFamilies, ...proxyFamilies].map(({ name }) => name));
    const named = [...page.matchAll(/swain_[a-z_]+/g)].map(([name]) => name);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
