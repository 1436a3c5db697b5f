// Asks a registry why it would not give an image. Engines tell a refused pull in prose alone (Podman always, Docker for
// whatever is not a refusal), and prose is not read. This looks only; pulling is the engine's work.
import { request as httpRequest } from "node:http";
import type { OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import type { ImageReference } from "../../../core/image.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * found: the registry would give the manifest; absent: it has no such image; denied: not to these credentials;
 * unreachable: nothing listens there, or the name is unknown; timeout: no answer in time; unclear: something else.
 */
export type RegistryAnswer = "found" | "absent" | "denied" | "unreachable" | "timeout" | "unclear";

const hubHost = "registry-1.docker.io";

/** Host of the registry and path within it: names without a host are Docker Hub's, those of one part its library's. */
export function registryOf(image: Pick<ImageReference, "repository">): {
  readonly host: string;
  readonly path: string;
} {
  const [first = "", ...rest] = image.repository.split("/");
  const named = rest.length > 0 && (/[.:[]/.test(first) || first === "localhost" || /[A-Z]/.test(first));
  const host = named ? first : "docker.io";
  const path = named ? rest.join("/") : image.repository;
  return host === "docker.io" && !path.includes("/") ? { host, path: `library/${path}` } : { host, path };
}

const isLoopback = (host: string): boolean => /^(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?$/.test(host);

const accepted = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/** Never rejects. `timeoutMs` holds for the whole of it. */
export async function askRegistry(
  image: ImageReference,
  credentials: Credentials | null,
  timeoutMs: number,
): Promise<RegistryAnswer> {
  const { host, path } = registryOf(image);
  const place = `${host === "docker.io" ? hubHost : host}/v2/${path}/manifests/${image.digest ?? image.tag ?? "latest"}`;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await askOver(`https://${place}`, credentials, signal);
  } catch (error) {
    if (!speaksPlainly(error)) return failureOf(error, signal);
  }
  try {
    // Without TLS a password goes nowhere but to this very machine.
    return await askOver(`http://${place}`, isLoopback(host) ? credentials : null, signal);
  } catch (error) {
    return failureOf(error, signal);
  }
}

async function askOver(url: string, credentials: Credentials | null, signal: AbortSignal): Promise<RegistryAnswer> {
  const basic = credentials === null ? undefined : basicOf(credentials);
  const first = await head(url, undefined, signal);
  if (first.status !== 401) return answerOf(first.status);
  const { challenge } = first;
  if (/^basic/i.test(challenge))
    return basic === undefined ? "denied" : answerOf((await head(url, basic, signal)).status);
  const token = await tokenFor(challenge, basic, signal);
  return token === null ? "denied" : answerOf((await head(url, `Bearer ${token}`, signal)).status);
}

interface Reply {
  readonly status: number;
  readonly challenge: string;
  readonly body: string;
}

/** Longest answer read: a token with its JSON. */
const longestBody = 64 * 1024;

/** Not by `fetch`, which refuses some ports that registries may well have. */
function request(
  method: "HEAD" | "GET",
  url: string,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const call = send(url, { method, headers, signal }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (text: string) => (body = (body + text).slice(0, longestBody)));
      answer.on("error", reject);
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, challenge: answer.headers["www-authenticate"] ?? "", body });
      });
    });
    call.on("error", reject);
    call.end();
  });
}

function head(url: string, authorization: string | undefined, signal: AbortSignal): Promise<Reply> {
  return request("HEAD", url, { accept: accepted, ...(authorization === undefined ? {} : { authorization }) }, signal);
}

const basicOf = ({ username, password }: Credentials): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

/** The token a registry's `Bearer realm="…",service="…",scope="…"` asks for; null when it is not given. */
async function tokenFor(challenge: string, basic: string | undefined, signal: AbortSignal): Promise<string | null> {
  const fields = Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
  const realm = URL.canParse(fields["realm"] ?? "") ? new URL(fields["realm"] ?? "") : null;
  if (realm === null || (realm.protocol !== "https:" && !isLoopback(realm.host))) return null;
  for (const key of ["service", "scope"]) if (fields[key] !== undefined) realm.searchParams.set(key, fields[key]);
  const reply = await request("GET", realm.href, basic === undefined ? {} : { authorization: basic }, signal);
  if (reply.status !== 200) return null;
  const { token, access_token } = parsed(reply.body);
  const found = token ?? access_token;
  return typeof found === "string" ? found : null;
}

function answerOf(status: number): RegistryAnswer {
  if (status === 401 || status === 403) return "denied";
  if (status === 404) return "absent";
  return status >= 200 && status < 300 ? "found" : "unclear";
}

function parsed(text: string): { readonly token?: unknown; readonly access_token?: unknown } {
  try {
    return JSON.parse(text) as { token?: unknown };
  } catch {
    return {};
  }
}

const codeOf = (error: unknown): string => {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "";
};

/** The other side answered the greeting of TLS with something else. */
const speaksPlainly = (error: unknown): boolean =>
  /^(EPROTO$|ERR_SSL_(WRONG_VERSION|PACKET_LENGTH|HTTP_REQUEST))/.test(codeOf(error));

const unreachable = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

function failureOf(error: unknown, signal: AbortSignal): RegistryAnswer {
  if (signal.aborted || codeOf(error) === "ETIMEDOUT") return "timeout";
  return unreachable.has(codeOf(error)) ? "unreachable" : "unclear";
}
