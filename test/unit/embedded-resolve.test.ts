import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compareVersions, resolveServer, serverCache } from "../../services/bus/embedded/resolve.ts";
import { downloadServer } from "../../services/bus/embedded/download.ts";
import { pinFor, pinnedVersion } from "../../services/bus/embedded/pins.ts";
import type { Pin } from "../../services/bus/embedded/pins.ts";

let home: string;
let env: NodeJS.ProcessEnv;
let closers: (() => Promise<void>)[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "swain-resolve-"));
  closers = [];
  env = { PATH: join(home, "path"), XDG_CACHE_HOME: join(home, "cache"), HOME: home };
  await mkdir(join(home, "path"));
});

afterEach(async () => {
  for (const close of closers) await close();
  await rm(home, { recursive: true, force: true });
});

/** A program that answers `--version` as nats-server does. */
async function fakeServer(folder: string, version: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "nats-server");
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

/** A release archive served over HTTP as upstream lays it out, and the pin that matches it. */
async function release(version: string): Promise<{ base: string; pin: Pin; asked: string[] }> {
  const name = `nats-server-v${version}-test`;
  await fakeServer(join(home, "release", name), version);
  execFileSync("tar", ["-czf", join(home, `${name}.tar.gz`), "-C", join(home, "release"), name]);
  const body = await readFile(join(home, `${name}.tar.gz`));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (request.url === `/mirror/v${version}/${name}.tar.gz`) response.end(body);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(() => resolve())));
  const { port } = server.address() as AddressInfo;
  const sha256 = createHash("sha256").update(body).digest("hex");
  return { base: `http://127.0.0.1:${port}/mirror`, pin: { version, file: `${name}.tar.gz`, sha256 }, asked };
}

test("a path named on the command line is taken before everything else", async () => {
  const named = await fakeServer(join(home, "mine"), "2.12.7");
  await fakeServer(join(home, "path"), "2.14.3");
  env["SWAIN_NATS_SERVER"] = await fakeServer(join(home, "other"), "2.11.0");
  expect(await resolveServer({ explicit: named, env })).toEqual({
    path: named,
    version: "2.12.7",
    found: "--nats-server",
  });
});

test("SWAIN_NATS_SERVER is taken before PATH", async () => {
  await fakeServer(join(home, "path"), "2.14.3");
  const named = await fakeServer(join(home, "other"), "2.11.0");
  env["SWAIN_NATS_SERVER"] = named;
  expect(await resolveServer({ env })).toMatchObject({ path: named, found: "SWAIN_NATS_SERVER" });
});

test("a named server that is not there is an error, whatever else could be found", async () => {
  await fakeServer(join(home, "path"), "2.14.3");
  await expect(resolveServer({ explicit: join(home, "nowhere"), env })).rejects.toMatchObject({
    code: "NATS_SERVER_MISSING",
    message: expect.stringContaining("there is no such program") as string,
  });
});

test("a named server that is too old is refused with its version", async () => {
  const named = await fakeServer(join(home, "mine"), "2.8.4");
  await expect(resolveServer({ explicit: named, env })).rejects.toMatchObject({
    code: "SERVER_TOO_OLD",
    message: expect.stringContaining("2.8.4 is older than 2.9.0") as string,
  });
});

test("a server in PATH is found, and one that is too old there is passed over", async () => {
  const old = join(home, "old");
  await fakeServer(old, "2.8.4");
  const good = await fakeServer(join(home, "path"), "2.14.3");
  env["PATH"] = `${old}:${join(home, "path")}`;
  expect(await resolveServer({ env })).toEqual({ path: good, version: "2.14.3", found: "PATH" });
});

test("the newest server of the cache is taken when PATH has none", async () => {
  await fakeServer(join(serverCache(env), "v2.9.10"), "2.9.10");
  const newest = await fakeServer(join(serverCache(env), "go-v2.14.3"), "2.14.3");
  expect(await resolveServer({ env, pin: null, folders: [] })).toEqual({
    path: newest,
    version: "2.14.3",
    found: "cache",
  });
});

test("the pinned release is fetched from the mirror, checked and kept in the cache", async () => {
  const { base, pin, asked } = await release("2.14.3");
  const path = await downloadServer(pin, { base, cache: serverCache(env) });
  expect(path).toBe(join(serverCache(env), "v2.14.3", "nats-server"));
  expect(execFileSync(path, ["--version"]).toString()).toBe("nats-server: v2.14.3\n");
  expect(asked).toEqual([`/mirror/v2.14.3/${pin.file}`]);
  expect(await readdir(serverCache(env))).toEqual(["v2.14.3"]);
});

test("a file with another checksum is refused and thrown away", async () => {
  const { base, pin } = await release("2.14.3");
  const wrong = { ...pin, sha256: "0".repeat(64) };
  await expect(downloadServer(wrong, { base, cache: serverCache(env) })).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
    message: expect.stringContaining(pin.sha256) as string,
  });
  expect(await readdir(serverCache(env))).toEqual([]);
});

test("a wrong checksum ends the search instead of going on to the next way", async () => {
  const { base, pin } = await release("2.14.3");
  env["SWAIN_NATS_DOWNLOAD_URL"] = base;
  await expect(resolveServer({ env, folders: [], pin: { ...pin, sha256: "0".repeat(64) } })).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
  });
});

test("a mirror without the file says so with its address", async () => {
  const { base, pin } = await release("2.14.3");
  const absent = { ...pin, file: "nats-server-v2.14.3-other.tar.gz" };
  await expect(downloadServer(absent, { base, cache: serverCache(env) })).rejects.toMatchObject({
    code: "NATS_SERVER_MISSING",
    message: `${base}/v2.14.3/${absent.file}: HTTP 404`,
  });
});

test("when every way fails the error lists each of them with its reason", async () => {
  const { base } = await release("2.14.3");
  env["SWAIN_NATS_DOWNLOAD_URL"] = base;
  const said: string[] = [];
  const failed = resolveServer({ env, folders: [], say: (line) => said.push(line) });
  await expect(failed).rejects.toMatchObject({ code: "NATS_SERVER_MISSING" });
  const message = await failed.catch((error: unknown) => (error as Error).message);
  expect(message).toMatch(/download: .*HTTP 404/);
  expect(message).toMatch(/apt-get download: apt-get is not here/);
  expect(message).toMatch(/go install: Go is not here/);
  expect(said[0]).toContain(base);
});

test("every supported platform has a pinned file with a SHA-256", () => {
  for (const [platform, arch] of [
    ["linux", "x64"],
    ["linux", "arm64"],
    ["darwin", "x64"],
    ["darwin", "arm64"],
  ] as const) {
    const pin = pinFor(platform, arch);
    expect(pin?.version).toBe(pinnedVersion);
    expect(pin?.sha256).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(pinFor("plan9", "mips")).toBeNull();
});

test("versions are compared by number, not by letter", () => {
  expect(compareVersions("2.10.0", "2.9.10")).toBeGreaterThan(0);
  expect(compareVersions("2.9.10", "2.9.10")).toBe(0);
  expect(compareVersions("2.12.7", "2.14.3")).toBeLessThan(0);
});
