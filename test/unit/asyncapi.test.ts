// The AsyncAPI document: up to date, complete, and valid by the parser of the AsyncAPI project.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Parser } from "@asyncapi/parser";
import { describe, expect, it } from "vitest";
import { apiVerbs, channels } from "../../services/bus/channels.ts";
import { permissionsOf } from "../../services/bus/embedded/roles.ts";
import { handlers } from "../../services/controller/api/table.ts";

const root = join(import.meta.dirname, "../..");
const kept = readFileSync(join(root, "schemas/asyncapi.json"), "utf8");

describe("the AsyncAPI document", () => {
  it("is what the channels and schemas make", () => {
    const folder = mkdtempSync(join(tmpdir(), "swain-asyncapi-"));
    try {
      const out = join(folder, "asyncapi.json");
      execFileSync(process.execPath, [join(root, "schemas/asyncapi.mjs"), "--out", out]);
      expect(readFileSync(out, "utf8") === kept, "schemas/asyncapi.json is out of date: npm run generate").toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is valid", async () => {
    const { document, diagnostics } = await new Parser().parse(kept);
    // 0 is an error; warnings and hints are a matter of taste.
    const errors = diagnostics.filter(({ severity }: { severity: number }) => severity === 0);
    expect(errors.map(({ message, path }) => `${path.join("/")}: ${message}`)).toEqual([]);
    expect(document?.version()).toBe("3.0.0");
    expect(document?.allOperations().length).toBe(channels.length);
  });

  it("has every verb of the API, and no other", () => {
    expect(Object.keys(apiVerbs).toSorted(), "services/bus/channels.ts").toEqual([...handlers.keys()].toSorted());
  });

  it("uses every message schema", () => {
    const files = readdirSync(join(root, "schemas/messages")).map((file) => file.replace(".schema.json", ""));
    // Files of definitions that others refer to are messages of nobody.
    const own = files.filter((file) => {
      const schema = JSON.parse(readFileSync(join(root, `schemas/messages/${file}.schema.json`), "utf8"));
      return schema.type !== undefined && !["problem"].includes(file);
    });
    const used = new Set([...channels.flatMap(({ message, reply }) => [message, reply]), "api-error"]);
    expect(
      own.filter((file) => !used.has(file)),
      "say in services/bus/channels.ts where they go",
    ).toEqual([]);
  });

  it("names for clients what the operator may publish", () => {
    const { publish } = permissionsOf("operator", "{cluster}");
    const fits = (address: string): boolean =>
      publish.some((pattern) => {
        const [tokens, given] = [pattern.split("."), address.split(".")];
        const rest = tokens.at(-1) === ">";
        if (rest ? given.length < tokens.length : given.length !== tokens.length) return false;
        return tokens.every((token, at) => token === ">" || token === "*" || token === given[at]);
      });
    for (const { from, address } of channels) if (from === "client") expect(fits(address), address).toBe(true);
  });
});
