// Finds a nats-server for this machine, or gets one. Not a supervisor (start.ts) and not a feature table (../features.ts).
// `swain up`, `swain demo` and the tests call it.
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { asSwainError, SwainError } from "../../kernel/errors.ts";
import { downloadBase, downloadServer } from "./download.ts";
import { aptServer, goServer } from "./packages.ts";
import type { Pin } from "./pins.ts";
import { pinFor } from "./pins.ts";
import { lastLine, run } from "./run.ts";

/** A nats-server that answered with its version. */
export interface ServerProgram {
  readonly path: string;
  /** Such as `2.14.3`. */
  readonly version: string;
  /** Where it came from, in words for people. */
  readonly found: string;
}

export interface ResolveOptions {
  /** A path the user named on the command line. */
  readonly explicit?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** The release to fetch; the pinned one for this platform unless a test brings its own. */
  readonly pin?: Pin | null;
  /** Where to look beside PATH; ordinary users have no sbin in theirs, and Debian puts the server there. */
  readonly folders?: readonly string[];
  /** Tells what takes long, before it does. */
  readonly say?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

interface Way {
  readonly name: string;
  /** The paths to try in this order; rejects when the way leads nowhere. */
  candidates(): Promise<readonly string[]>;
}

/** Swain's folder under XDG_CACHE_HOME; every nats-server lies at `<it>/<where from>/nats-server`. */
export function serverCache(env: NodeJS.ProcessEnv): string {
  const base = env["XDG_CACHE_HOME"];
  return join(base === undefined || base === "" ? join(homedir(), ".cache") : base, "swain", "nats-server");
}

/**
 * The first nats-server that works: named path, SWAIN_NATS_SERVER, PATH and sbin, cache, download, apt, Go.
 * Rejects with NATS_SERVER_MISSING, telling every way and why it failed; with SERVER_TOO_OLD when a named one is too old;
 * with CHECKSUM_MISMATCH when the download was not the file it should be, since then something is wrong that must be seen.
 */
export async function resolveServer(options: ResolveOptions): Promise<ServerProgram> {
  const named = options.explicit ?? options.env["SWAIN_NATS_SERVER"];
  if (named !== undefined && named !== "") {
    return resolveNamed(resolve(named), options.explicit === undefined ? "SWAIN_NATS_SERVER" : "--nats-server");
  }
  const failures: string[] = [];
  for (const way of ways(options)) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    try {
      for (const path of await way.candidates()) {
        const version = await askVersion(path);
        if (version.ok) return { path, version: version.version, found: way.name };
        if (version.message !== null) failures.push(`${way.name}: ${path}: ${version.message}`);
      }
    } catch (error) {
      const known = asSwainError(error);
      if (known.code === "CHECKSUM_MISMATCH") throw known;
      failures.push(`${way.name}: ${known.message}`);
    }
  }
  throw new SwainError("NATS_SERVER_MISSING", ["No nats-server was found.", ...failures].join("\n  "));
}

async function resolveNamed(path: string, found: string): Promise<ServerProgram> {
  const version = await askVersion(path);
  if (version.ok) return { path, version: version.version, found };
  // Whoever names a server means that one: another is not taken in its place.
  throw new SwainError(
    version.tooOld ? "SERVER_TOO_OLD" : "NATS_SERVER_MISSING",
    `${found} names ${path}: ${version.message ?? "there is no such program"}`,
  );
}

function ways(options: ResolveOptions): Way[] {
  const cache = serverCache(options.env);
  const pin = options.pin === undefined ? pinFor(process.platform, process.arch) : options.pin;
  const base = downloadBase(options.env);
  const getting = { cache, env: options.env, signal: options.signal };
  const path = (options.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = options.folders ?? ["/usr/sbin", "/usr/local/sbin"];
  const say = options.say ?? ((): void => {});
  return [
    {
      name: "PATH",
      candidates: async () => [...new Set([...path, ...folders])].map((folder) => join(folder, "nats-server")),
    },
    { name: "cache", candidates: () => cached(cache) },
    {
      name: "download",
      candidates: async () => {
        if (pin === null) throw new Error(`no release is pinned for ${process.platform}-${process.arch}`);
        say(`fetching nats-server ${pin.version} from ${base}`);
        return [await downloadServer(pin, { base, ...getting })];
      },
    },
    {
      name: "apt-get download",
      candidates: async () => {
        say("fetching the distribution's nats-server package (nothing is installed)");
        return [await aptServer(getting)];
      },
    },
    {
      name: "go install",
      candidates: async () => {
        say("building nats-server with Go, which takes minutes the first time");
        return [await goServer(getting)];
      },
    },
  ];
}

/** What earlier runs fetched, newest version first. */
async function cached(cache: string): Promise<string[]> {
  const names = await readdir(cache).catch(() => []);
  const found: { path: string; version: string }[] = [];
  for (const name of names.filter((name) => !name.startsWith("."))) {
    const path = join(cache, name, "nats-server");
    const version = await askVersion(path);
    if (version.ok) found.push({ path, version: version.version });
  }
  return found.sort((a, b) => compareVersions(b.version, a.version)).map((entry) => entry.path);
}

type Version =
  | { readonly ok: true; readonly version: string }
  /** A null message: there is no such file, which needs no mention. */
  | { readonly ok: false; readonly tooOld: boolean; readonly message: string | null };

/** The oldest server Swain runs on. */
const oldest = "2.9.0";

async function askVersion(path: string): Promise<Version> {
  const result = await run(path, ["--version"], { timeoutMs: 5000 });
  if (result.trouble?.includes("ENOENT") === true) return { ok: false, tooOld: false, message: null };
  const version = /nats-server:? v?(\d+\.\d+\.\d+)/.exec(result.output)?.[1];
  if (result.code !== 0 || version === undefined) return { ok: false, tooOld: false, message: lastLine(result) };
  if (compareVersions(version, oldest) < 0) {
    return { ok: false, tooOld: true, message: `version ${version} is older than ${oldest}` };
  }
  return { ok: true, version };
}

/** Negative when `a` is older than `b`, 0 when equal; only the three numbers count. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let part = 0; part < 3; part++) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
