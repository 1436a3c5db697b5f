import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resolveSettings } from "../../cli/settings.ts";
import type { FindLocal, Settings } from "../../cli/settings.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "swain-settings-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** A cluster was started in /up and nowhere else, unless `everywhere`. */
const localIn =
  (everywhere: boolean): FindLocal =>
  (folder) =>
    everywhere || folder === "/up"
      ? { server: "nats://local", cluster: "local", creds: (role) => `${folder}/${role}.nk` }
      : null;

function settle(
  flags: Record<string, string>,
  env: Record<string, string> = {},
  everywhere = false,
): Promise<Settings> {
  return resolveSettings(
    { option: (name) => flags[name], env: { HOME: home, ...env } },
    "operator",
    localIn(everywhere),
  );
}

function context(name: string, fields: object, selected = false): void {
  const folder = join(home, ".config/nats");
  mkdirSync(join(folder, "context"), { recursive: true });
  writeFileSync(join(folder, "context", `${name}.json`), JSON.stringify(fields));
  if (selected) writeFileSync(join(folder, "context.txt"), `${name}\n`);
}

test("nothing said and nothing started: a server on this machine", async () => {
  expect(await settle({})).toEqual({ server: "nats://127.0.0.1:4222", cluster: "default", source: "the default" });
});

test("the default data folder is used when nothing else is said and something was started there", async () => {
  const settings = await settle({}, {}, true);
  expect(settings).toMatchObject({ server: "nats://local", cluster: "local", source: "swain up" });
  expect(settings.creds).toMatch(/\/operator\.nk$/);
});

test("a selected nats context comes before the default data folder, the environment before both", async () => {
  context("prod", { url: "nats://prod", creds: "~/prod.creds" }, true);
  expect(await settle({}, {}, true)).toEqual({
    server: "nats://prod",
    creds: join(home, "prod.creds"),
    cluster: "default",
    source: "nats context prod",
  });
  expect(await settle({}, { SWAIN_SERVER: "nats://env", SWAIN_CREDS: "/env.nk", SWAIN_CLUSTER: "envy" }, true)).toEqual(
    {
      server: "nats://env",
      creds: "/env.nk",
      cluster: "envy",
      source: "SWAIN_SERVER",
    },
  );
  expect(await settle({}, { SWAIN_DATA: "/up" })).toMatchObject({ server: "nats://local", creds: "/up/operator.nk" });
});

test("flags come before the environment; --context before SWAIN_SERVER, --data before --context, --server before all", async () => {
  context("prod", { url: "nats://prod", nkey: "/prod.nk" });
  const env = { SWAIN_SERVER: "nats://env", SWAIN_CREDS: "/env.nk", SWAIN_CLUSTER: "envy" };
  // A context named by flag brings its own credentials; those of the environment belong to another server.
  expect(await settle({ context: "prod" }, env)).toMatchObject({
    server: "nats://prod",
    creds: "/prod.nk",
    cluster: "envy",
  });
  expect(await settle({ context: "prod", data: "/up" }, env)).toEqual({
    server: "nats://local",
    creds: "/up/operator.nk",
    cluster: "local",
    source: "--data /up",
  });
  const all = { server: "nats://flag", creds: "/flag.nk", cluster: "flag", data: "/up", context: "prod" };
  expect(await settle(all, env)).toEqual({
    server: "nats://flag",
    creds: "/flag.nk",
    cluster: "flag",
    source: "--server",
  });
});

test("--server with --data uses the credentials found there", async () => {
  expect(await settle({ server: "nats://flag", data: "/up" }, { SWAIN_CREDS: "/env.nk" })).toMatchObject({
    server: "nats://flag",
    creds: "/up/operator.nk",
  });
});

test("a named data folder in which nothing was started is an error, not another cluster", async () => {
  await expect(settle({ data: "/none" })).rejects.toMatchObject({ code: "NOT_RUNNING" });
  await expect(settle({}, { SWAIN_DATA: "/none" })).rejects.toMatchObject({ code: "NOT_RUNNING" });
});

test("a context that is not there, is no JSON, or logs in in another way is named in the error", async () => {
  await expect(settle({ context: "none" })).rejects.toThrow(
    /the nats context "none" is not there: no file .*none\.json/,
  );
  await expect(settle({ context: "../../etc" })).rejects.toThrow("is no name of a context");
  context("user", { url: "nats://x", user: "me", password: "secret" });
  await expect(settle({ context: "user" })).rejects.toThrow("uses user, which Swain does not");
  mkdirSync(join(home, ".config/nats/context"), { recursive: true });
  writeFileSync(join(home, ".config/nats/context/broken.json"), "{");
  await expect(settle({ context: "broken" })).rejects.toThrow("is not JSON");
});

test("the name of a cluster becomes part of subjects, so nothing else may be in it", async () => {
  for (const cluster of ["a.b", "A", "*", ">", "", "a b", "-a"]) {
    await expect(settle({ cluster }), cluster).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
});
