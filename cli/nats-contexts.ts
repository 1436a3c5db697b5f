// Reads the contexts of the `nats` CLI: ~/.config/nats/context/<name>.json, and context.txt with the selected one's name.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SwainError } from "../services/kernel/errors.ts";

/** What of a context reaches a server. */
export interface NatsContext {
  readonly name: string;
  readonly url: string;
  /** Path of a creds file or of an nkey seed. */
  readonly creds?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** The folder of the `nats` CLI's configuration. */
function natsConfigFolder(env: Env): string {
  return join(env.XDG_CONFIG_HOME ?? join(env.HOME ?? "/", ".config"), "nats");
}

/** The context of that name, or the selected one; null when none is selected. Throws INVALID_ARGUMENT. */
export async function natsContext(env: Env, name: string | undefined): Promise<NatsContext | null> {
  const folder = natsConfigFolder(env);
  const wanted = name ?? (await readFile(join(folder, "context.txt"), "utf8").catch(() => "")).trim();
  if (wanted === "") return null;
  // The name becomes part of a path.
  if (!/^[^/\0]+$/.test(wanted) || wanted === "..") throw bad(wanted, "is no name of a context");
  const path = join(folder, "context", `${wanted}.json`);
  const text = await readFile(path, "utf8").catch(() => {
    throw bad(wanted, `is not there: no file ${path}`);
  });
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw bad(wanted, `cannot be read: ${path} is not JSON`);
  }
  const field = (key: string): string | undefined => {
    const value = fields[key];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const unusable = ["user", "password", "token", "user_jwt", "nsc"].find((key) => field(key) !== undefined);
  if (unusable !== undefined) throw bad(wanted, `uses ${unusable}, which Swain does not; give it creds or nkey`);
  const creds = field("creds") ?? field("nkey");
  const url = field("url") ?? "nats://127.0.0.1:4222";
  return { name: wanted, url, ...(creds === undefined ? {} : { creds: expandHome(creds, env) }) };
}

const bad = (name: string, what: string): SwainError =>
  new SwainError("INVALID_ARGUMENT", `the nats context "${name}" ${what}`);

const expandHome = (path: string, env: Env): string =>
  path.startsWith("~/") ? join(env.HOME ?? "/", path.slice(2)) : path;
