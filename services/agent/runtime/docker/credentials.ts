// Credentials for registries, read on the node where Docker and Podman keep them. They go to the engine with the pull
// and nowhere else: not to the bus, not into a log, not into an error.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ImageReference } from "../../../core/image.ts";
import { registryOf } from "./registry.ts";
import type { Credentials } from "./registry.ts";

type Environment = Readonly<Record<string, string | undefined>>;

interface AuthFile {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** What Docker Hub is called in the files. */
const hubKeys = ["https://index.docker.io/v1/", "index.docker.io", "docker.io"];

/** A helper that asks a person for a password would wait for ever. */
const helperMs = 10_000;

/** The files that may hold credentials, in the order in which they are asked. */
export function authFiles(env: Environment, home: string): string[] {
  const { DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR } = env;
  return [
    REGISTRY_AUTH_FILE,
    DOCKER_CONFIG && join(DOCKER_CONFIG, "config.json"),
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, "containers/auth.json"),
    join(home, ".config/containers/auth.json"),
    join(home, ".docker/config.json"),
  ].filter((path): path is string => path !== undefined && path !== "");
}

/** The credentials for the image's registry from the first file that has any; null when none has. Never rejects. */
export async function credentialsFor(
  image: Pick<ImageReference, "repository">,
  env: Environment = process.env,
  home: string = homedir(),
): Promise<Credentials | null> {
  const keys = keysOf(image);
  for (const path of authFiles(env, home)) {
    const file = await readAuthFile(path);
    const found = file === null ? null : await fromFile(file, keys, env);
    if (found !== null) return found;
  }
  return null;
}

/** The names under which the registry may stand in a file: the most exact first, as Podman has them. */
function keysOf(image: Pick<ImageReference, "repository">): string[] {
  const { host, path } = registryOf(image);
  const parts = path.split("/");
  const exact = parts.map((_, index) => [host, ...parts.slice(0, parts.length - index)].join("/"));
  const plain =
    host === "docker.io" ? hubKeys : [host, `https://${host}`, `https://${host}/v1/`, `https://${host}/v2/`];
  return [...exact, ...plain];
}

async function readAuthFile(path: string): Promise<AuthFile | null> {
  try {
    const file: unknown = JSON.parse(await readFile(path, "utf8"));
    return typeof file === "object" && file !== null ? file : null;
  } catch {
    return null;
  }
}

async function fromFile(file: AuthFile, keys: readonly string[], env: Environment): Promise<Credentials | null> {
  for (const key of keys) {
    const helper = file.credHelpers?.[key];
    const helped = helper === undefined ? null : await fromHelper(helper, key, env);
    if (helped !== null) return helped;
    const auth = file.auths?.[key]?.auth;
    const found = auth === undefined ? null : decoded(auth);
    if (found !== null) return found;
  }
  if (file.credsStore === undefined) return null;
  for (const key of keys) {
    const stored = file.auths?.[key] === undefined ? null : await fromHelper(file.credsStore, key, env);
    if (stored !== null) return stored;
  }
  return null;
}

/** `base64(name:password)` */
function decoded(auth: string): Credentials | null {
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon <= 0 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1).replaceAll("\0", "") };
}

/** Asks the program `docker-credential-NAME`, which takes the registry's name on its input. */
function fromHelper(name: string, registry: string, env: Environment): Promise<Credentials | null> {
  if (!/^[a-zA-Z0-9_.-]+$/.test(name)) return Promise.resolve(null);
  return new Promise((resolve) => {
    const options = { env: { ...env }, timeout: helperMs, maxBuffer: 64 * 1024 };
    const child = execFile(`docker-credential-${name}`, ["get"], options, (error, stdout) => {
      resolve(error === null ? helperAnswer(stdout) : null);
    });
    // One that ends before it has read everything is judged by its answer.
    child.stdin?.on("error", () => {});
    child.stdin?.end(registry);
  });
}

function helperAnswer(text: string): Credentials | null {
  try {
    const { Username, Secret } = JSON.parse(text) as { Username?: unknown; Secret?: unknown };
    return typeof Username === "string" && typeof Secret === "string" ? { username: Username, password: Secret } : null;
  } catch {
    return null;
  }
}

/** What an engine takes with one call. */
export interface RegistryAuth extends Credentials {
  readonly serveraddress: string;
}

export function registryAuth(credentials: Credentials, image: Pick<ImageReference, "repository">): RegistryAuth {
  const { host } = registryOf(image);
  return { ...credentials, serveraddress: host === "docker.io" ? "https://index.docker.io/v1/" : host };
}
