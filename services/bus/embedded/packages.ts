// Two more ways to a nats-server: the distribution's package, unpacked without installing it, and Go.
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { SwainError } from "../../kernel/errors.ts";
import { moveIntoCache } from "./download.ts";
import { pinnedVersion } from "./pins.ts";
import { lastLine, run } from "./run.ts";

interface WayOptions {
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

/** A package is 5 MB; the lists of a distribution are some 50 MB. */
const downloadMs = 60_000;
const listsMs = 120_000;
/** A compile on a small machine, and Go may fetch a newer toolchain first. */
const compileMs = 420_000;

/**
 * Fetches Debian's or Ubuntu's package and unpacks it into the cache; nothing is installed, and the system's package
 * lists are left as they are: where they are missing (fresh images), private ones are fetched. Needs no rights.
 */
export async function aptServer(options: WayOptions): Promise<string> {
  await mkdir(options.cache, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(options.cache, ".apt-"));
  try {
    const file = (await fetchPackage(work, options, [])) ?? (await fetchWithOwnLists(work, options));
    const unpacked = await run("dpkg-deb", ["-x", join(work, file), join(work, "root")], {
      timeoutMs: 30_000,
      signal: options.signal,
    });
    if (unpacked.code !== 0) throw missing(`dpkg-deb: ${lastLine(unpacked)}`);
    const program = join(work, "root", "usr", "sbin", "nats-server");
    return await moveIntoCache(program, join(options.cache, file.split("_").slice(0, 2).join("-")));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchWithOwnLists(work: string, options: WayOptions): Promise<string> {
  const state = join(work, "state");
  const cache = join(work, "cache");
  await mkdir(join(state, "lists", "partial"), { recursive: true });
  await mkdir(join(cache, "archives", "partial"), { recursive: true });
  const own = [
    `Dir::State=${state}`,
    `Dir::State::Lists=${join(state, "lists")}`,
    `Dir::Cache=${cache}`,
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
  ];
  const flags = own.flatMap((option) => ["-o", option]);
  const updated = await run("apt-get", ["-qq", ...flags, "update"], {
    timeoutMs: listsMs,
    cwd: work,
    env: options.env,
    signal: options.signal,
  });
  if (updated.code !== 0) throw missing(`apt-get update (private lists): ${lastLine(updated)}`);
  const file = await fetchPackage(work, options, flags);
  if (file === null) throw missing("apt-get download nats-server: the distribution has no such package");
  return file;
}

/** The file's name, or null when apt does not know the package; rejects when there is no apt. */
async function fetchPackage(work: string, options: WayOptions, flags: readonly string[]): Promise<string | null> {
  const result = await run("apt-get", ["-qq", ...flags, "download", "nats-server"], {
    timeoutMs: downloadMs,
    cwd: work,
    env: options.env,
    signal: options.signal,
  });
  if (result.trouble?.includes("ENOENT") === true) throw missing("apt-get is not here");
  if (result.code === null) throw missing(`apt-get download: ${lastLine(result)}`);
  return (await readdir(work)).find((name) => name.endsWith(".deb")) ?? null;
}

/** Builds the pinned version with the machine's own Go. */
export async function goServer(options: WayOptions): Promise<string> {
  await mkdir(options.cache, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(options.cache, ".go-"));
  try {
    const target = `github.com/nats-io/nats-server/v2@v${pinnedVersion}`;
    const result = await run("go", ["install", target], {
      timeoutMs: compileMs,
      cwd: work,
      env: { ...options.env, GOBIN: work, CGO_ENABLED: "0" },
      signal: options.signal,
    });
    if (result.trouble?.includes("ENOENT") === true) throw missing("Go is not here");
    if (result.code !== 0) throw missing(`go install ${target}: ${lastLine(result)}`);
    return await moveIntoCache(join(work, "nats-server"), join(options.cache, `go-v${pinnedVersion}`));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const missing = (message: string): SwainError => new SwainError("NATS_SERVER_MISSING", message);
